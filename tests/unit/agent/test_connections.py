"""Round trips of a process's own connections to other hosts, by the kernel's word."""

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from dlroverd_agent.monitors.child import Readings
from dlroverd_agent.monitors.connections import read, round_trip_s


def talk(server: str, client: str) -> list[socket.socket]:
    """Have this process talk to itself, from one address to another."""
    listener = socket.create_server((server, 0))
    one = socket.create_connection(listener.getsockname(), source_address=(client, 0))
    other, _ = listener.accept()
    for sender, receiver in ((one, other), (other, one)):
        sender.sendall(b"x")
        assert receiver.recv(1) == b"x"
    return [listener, one, other]


def test_a_connection_to_another_host_is_timed_and_one_within_this_is_not() -> None:
    own = [os.getpid()]
    before = round_trip_s(own)
    kept = talk("127.0.0.1", "127.0.0.1")
    assert round_trip_s(own) == before
    kept += talk("127.0.0.1", "127.0.0.2")  # that is another host, as far as addresses say
    measured = round_trip_s(own)
    assert measured is not None
    assert 0 < measured < 1
    for each in kept:
        each.close()


def test_only_the_connections_of_ranks_count_and_the_shorter_of_two_readings(tmp_path: Path) -> None:
    script = "import socket, sys; from tests.unit.agent.test_connections import talk\n"
    script += "kept = talk('127.0.0.1', '127.0.0.3'); print(flush=True); sys.stdin.read()"
    readings = Readings(str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as rank:
        assert rank.stdout is not None
        rank.stdout.readline()
        assert "host_round_trip_seconds" not in readings.read({"j": rank.pid})[0]
        assert 0 < readings.read({"j": rank.pid})[0]["host_round_trip_seconds"] < 1
        assert "host_round_trip_seconds" not in readings.read({})[0]
        assert rank.stdin is not None
        rank.stdin.close()
    assert round_trip_s([rank.pid]) is None, "it has ended"


def answer(sent: int, received: int, mean: int, deviation: int = 0, *, shortest: int = 100, size: int = 160) -> bytes:
    """Make what the kernel says of a connection: another attribute, then how it goes."""
    info = bytearray(size)
    for at, value in ((44, sent), (52, received), (68, mean), (72, deviation), (148, shortest)):
        if at + 4 <= size:
            struct.pack_into("=I", info, at, value)
    message = bytearray(72)
    message[8:12], message[24:28] = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    struct.pack_into("=I", message, 68, 4711)
    other = struct.pack("=HH", 5, 8) + b"\1\0\0\0"
    return bytes(message) + other + struct.pack("=HH", 4 + size, 2) + bytes(info)


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (answer(100, 90_000, 1500), 0.0015),
        (answer(100, 100, 60_000, 1000), 0.058),
        (answer(100, 100, 28_000, 33_000), 0.0001),  # a few were so, and most are not
        (answer(90_000, 90_000, 1500), None),  # nothing has gone through it for a minute and a half
        (answer(1, 1, 0), None),
        (answer(1, 1, 1500, shortest=2**32 - 1), None),  # not timed yet
        (answer(1, 1, 1500, size=120), None),  # an older kernel's
        (answer(1, 1, 1500)[:90], None),
        (answer(1, 1, 1500)[:72] + bytes(8), None),
    ],
    ids=["in use", "far", "once", "idle", "not timed", "never", "short", "cut", "empty attributes"],
)
def test_what_the_kernel_says_is_read(said: bytes, found: float | None) -> None:
    seen = read(said)
    assert seen == (None if found is None else (4711, bytes([10, 0, 0, 2]) + bytes(12), found))
