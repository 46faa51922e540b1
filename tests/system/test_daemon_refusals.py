"""What the daemon refuses, in one sentence each, and the clients that cannot hurt it."""

import os
import socket
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from dlroverd.protocol.channel import MESSAGE_LIMIT_BYTES
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import agent_service_pb2 as agent_pb
from tests.system.daemon_process import DaemonProcess, spec
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, refusal, run, serving


async def refused(daemon: DaemonProcess) -> str:
    """Start a daemon that must not; give its only line."""
    daemon.stderr.unlink(missing_ok=True)
    await daemon.spawn()
    assert await daemon.ended() == 1
    (line,) = daemon.said().splitlines()
    assert line.startswith("dlroverd: ")
    return line


def test_a_second_daemon_on_one_state_directory_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path / "a") as first:
            second = DaemonProcess(tmp_path / "b")
            second._command[second._command.index("--state-dir") + 1] = str(first.state_dir)
            assert "in use by another daemon" in await refused(second)
            with first.client() as client:
                assert client.info().position == 0

    run(test())


def test_a_socket_that_another_daemon_serves_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path / "a") as first:
            second = DaemonProcess(tmp_path / "b")
            second._command[-1] = first.address
            assert "another daemon is listening there" in await refused(second)
            with first.client() as client:
                assert client.info().position == 0

    run(test())


def test_a_file_in_the_socket_s_place_is_refused_and_kept(tmp_path: Path) -> None:
    async def test() -> None:
        daemon = DaemonProcess(tmp_path)
        daemon.socket.parent.mkdir(mode=0o700)
        daemon.socket.write_text("mine")
        assert "is no socket" in await refused(daemon)
        assert daemon.socket.read_text() == "mine"

    run(test())


def test_a_socket_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        daemon = DaemonProcess(tmp_path)
        daemon.socket.parent.mkdir()
        daemon.socket.parent.chmod(0o775)
        assert "chmod 755" in await refused(daemon)

    run(test())


def test_tcp_is_refused(tmp_path: Path) -> None:
    async def test() -> None:
        daemon = DaemonProcess(tmp_path)
        daemon._command[-1] = "tcp://0.0.0.0:7000"
        assert "mutual TLS" in await refused(daemon)

    run(test())


def test_a_broken_configuration_is_refused_with_its_line(tmp_path: Path) -> None:
    async def test() -> None:
        config = tmp_path / "c.yaml"
        config.write_text("limits:\n  lost_aftr: 3s\n")
        line = await refused(DaemonProcess(tmp_path / "d", "--config", str(config)))
        assert "c.yaml:2:3" in line
        assert "lost_after" in line

    run(test())


# Imports first: the interpreter may lie where only root can read.
_AS_NOBODY = """
import os, sys
from dlroverd.daemon.main import main
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_state_directory_that_cannot_be_written_is_refused() -> None:
    async def test(tmp_path: Path) -> None:
        locked = tmp_path / "locked"
        locked.mkdir(mode=0o755)
        daemon = DaemonProcess(tmp_path / "d")
        daemon.socket.parent.mkdir(mode=0o700)
        os.chown(daemon.socket.parent, 65534, 65534)
        for directory in (tmp_path, tmp_path / "d"):
            directory.chmod(0o755)
        daemon._command[daemon._command.index("--state-dir") + 1] = str(locked / "state")
        daemon._command[1:3] = ["-c", _AS_NOBODY]
        line = await refused(daemon)
        assert "cannot be written" in line
        assert str(locked) in line
        assert list(locked.iterdir()) == []

    with tempfile.TemporaryDirectory() as directory:  # pytest's own are closed to other users
        run(test(Path(directory)))


def test_clients_that_make_no_sense_cost_a_line_at_most(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            before = len(daemon.said().splitlines())
            open_ends = [_dial(daemon.socket), _dial(daemon.socket)]
            garbage = _dial(daemon.socket)
            garbage.sendall(os.urandom(1 << 16))
            half = _dial(daemon.socket)
            half.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            half.shutdown(socket.SHUT_WR)
            with daemon.client() as client:
                assert client.info().position > 0
                assert client.nodes()[0].state == "ready"
            for end in (*open_ends, garbage, half):
                end.close()
            assert agent.welcomed.is_set()
            assert len(daemon.said().splitlines()) - before <= 1

    run(test())


def _dial(path: Path) -> socket.socket:
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(10)
    end.connect(os.fspath(path))
    return end


@pytest.mark.parametrize(
    ("method", "message", "reason"),
    [
        ("ControlService/SubmitJob", b"\xff" * 100, Reason.INTERNAL),
        ("ControlService/SubmitJob", b"", Reason.INVALID),
        ("ControlService/Nonsense", b"", Reason.WRONG_VERSION),
        ("ControlService/SubmitJob", b"\0" * (MESSAGE_LIMIT_BYTES + 1), Reason.STORAGE_LOW),
    ],
    ids=["garbage", "empty", "unknown-method", "too-long"],
)
def test_calls_that_make_no_sense_are_refused(tmp_path: Path, method: str, message: bytes, reason: Reason) -> None:
    async def test() -> None:
        async with serving(tmp_path) as daemon:
            options = [("grpc.max_send_message_length", 1 << 30)]
            async with grpc.aio.insecure_channel(f"unix:{daemon.socket}", options=options) as channel:
                call: Any = channel.unary_unary(f"/dlroverd.protocol.v1.{method}")
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await call(message)
            assert from_rpc(error.value, "").reason is reason
            with daemon.client() as client:
                assert client.jobs() == []
            assert len(daemon.said().splitlines()) <= 2

    run(test())


def test_sessions_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving(tmp_path) as daemon:
            agent = ScriptedAgent("n1", 2, idle)
            good = agent.facts
            for facts, word in (
                (replace(good, port_low=9, port_high=8), "port range"),
                (replace(good, slots=-1), "slots"),
            ):
                agent.facts = facts
                error = await refusal(agent, daemon.address)
                assert error.reason is Reason.INVALID
                assert word in error.sentence
            async with grpc.aio.insecure_channel(f"unix:{daemon.socket}") as channel:
                session: Any = channel.stream_stream("/dlroverd.protocol.v1.AgentService/Session")
                call = session(iter([agent_pb.AgentMessage(bye=agent_pb.Bye()).SerializeToString()]))
                assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
                assert "begins with Hello" in await call.details()
            with daemon.client() as client:
                assert client.nodes() == []

    run(test())


@pytest.mark.parametrize(
    ("broken", "word"),
    [
        ({"roles": ()}, "no role"),
        ({"name": "No Good"}, "its name"),
        ({"progress_pattern": "("}, "regular expression"),
        ({"max_restarts": -1}, "max_restarts"),
        ({"roles": spec().roles * 2}, "one name"),
    ],
)
def test_specs_that_break_a_rule_are_refused(tmp_path: Path, broken: dict[str, object], word: str) -> None:
    async def test() -> None:
        async with serving(tmp_path) as daemon:
            with daemon.client() as client:
                with pytest.raises(CallError, match=word) as error:
                    client.submit(replace(spec(), **broken))  # type: ignore[arg-type]
                assert error.value.reason is Reason.INVALID
                assert client.jobs() == []

    run(test())
