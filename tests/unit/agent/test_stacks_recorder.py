"""Ranks say how far they are in their collectives; whatever else is at that socket, the agent does not mind."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent.stacks.child import Asked, looked_at
from dlroverd_agent.stacks.recorder import positions
from dlroverd_train import _recorder

from dlroverd.model.stacks import GroupPosition
from tests.system.fleet import until

# Rank 1 is late for the third reduction of all, and rank 0 waits for it.
TRAIN = """
import os, signal, sys, threading, time
import torch, torch.distributed as dist
import dlroverd_train
dist.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=int(sys.argv[2]), world_size=2)
for step in range(2):
    dist.all_reduce(torch.ones(2, 3))
    dlroverd_train.progress(step)
child = os.fork()
if child == 0:
    assert len(os.listdir("/proc/self/task")) == 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert threading.active_count() == 1
signal.signal(signal.SIGUSR1, lambda *_: print("signalled", flush=True))
print("there", flush=True)
if sys.argv[2] == "1":
    time.sleep(1000)  # the fault
dist.all_reduce(torch.ones(2, 3))
"""
GROUP = GroupPosition(group="0", backend="gloo", about="default_pg", begun=2)


@contextmanager
def rank(folder: Path, number: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Have a rank run, with files of its own."""
    mine = folder / str(number)
    mine.mkdir()
    env = {**os.environ, "DLROVERD_PROGRESS_FILE": str(mine / "progress"), "GLOO_SOCKET_IFNAME": "lo"}
    words = [sys.executable, "-c", TRAIN, str(folder / "meet"), str(number)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_rank_that_waits_in_a_collective_says_which_and_one_that_does_not_that_it_is_in_none(tmp_path: Path) -> None:
    with rank(tmp_path, 0) as waits, rank(tmp_path, 1) as sleeps:
        for each in (waits, sleeps):
            assert each.stdout is not None
            assert each.stdout.readline() == b"there\n"
        (found,) = until(lambda: positions(str(tmp_path / "0" / "recorder")), lambda of: bool(of and of[0].open))
        assert found == GroupPosition(
            group="0", backend="gloo", about="default_pg", begun=3, open=3, call="all_reduce", of="Float[2, 3]"
        )
        assert positions(str(tmp_path / "1" / "recorder")) == (GROUP,)

        of = Asked(pid=sleeps.pid, stacks=str(tmp_path / "1" / "stacks"), recorder=str(tmp_path / "1" / "recorder"))
        assert looked_at("r", of, looks=2, apart_s=0.0).positions == (GROUP,)
        # The thread that answers does not take the script's signals.
        assert sleeps.stdout is not None
        sleeps.send_signal(signal.SIGUSR1)
        assert sleeps.stdout.readline() == b"signalled\n"
        assert sleeps.poll() is None
        sleeps.send_signal(signal.SIGSTOP)
        assert looked_at("r", of, looks=2, apart_s=0.0).positions == ()


def entry(number: int, **values: object) -> dict[str, Any]:
    """Make what torch's recorder has of a collective, as NCCL's has it, too."""
    made = {"process_group": ["0", "default_pg"], "profiling_name": "nccl:all_reduce", "collective_seq_id": number}
    made |= {"retired": False, "state": "scheduled", "is_p2p": False, "input_dtypes": ["Float"], "input_sizes": [[4]]}
    return made | values


def test_of_collectives_on_a_device_the_first_that_has_not_ended_counts() -> None:
    over, ended = entry(1, retired=True, state="completed"), entry(2, state="completed")
    (group,) = _recorder.groups([over, ended, entry(3, state="started"), entry(4), entry(5)])
    assert (group["backend"], group["begun"], group["open"], group["call"]) == ("nccl", 5, 3, "all_reduce")
    many = [entry(1, process_group=[str(number), ""]) for number in range(100)]
    assert [each["group"] for each in _recorder.groups(many)] == [str(number) for number in range(68, 100)]


def test_a_rank_that_sends_to_single_others_says_nothing() -> None:
    assert _recorder.groups([entry(1), entry(0, is_p2p=True)]) == []


def test_outside_dlroverd_nobody_answers() -> None:
    script = """
import os, sys
import torch.distributed
import dlroverd_train
before = len(os.listdir("/proc/self/task"))
for step in range(3):
    dlroverd_train.progress(step)
assert len(os.listdir("/proc/self/task")) == before
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("DLROVERD_")}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bytes], str]]:
    """Answer with some bytes, at a socket."""
    sockets = []

    def serving(said: bytes) -> str:
        path = tmp_path / "recorder"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(path))
        listener.listen()
        sockets.append(listener)

        def answer() -> None:
            try:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(said)
            except OSError:
                return  # nobody came, or who did has heard enough

        threading.Thread(target=answer, daemon=True).start()
        return str(path)

    yield serving
    for listener in sockets:
        listener.close()


def one(**values: object) -> bytes:
    """Give an answer with one group."""
    group = {"group": "0", "backend": "gloo", "about": "", "begun": 1, "open": 0, "call": "", "of": ""}
    return json.dumps([{**group, **values}]).encode()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\xff",
        b"{}",
        b"[1]",
        b'[{"group": "0"}, {}]',
        b"[" * 100_000,
        one(begun=-1),
        one(begun=2**80),
        one(open="many"),
        one(more="than is known") + b"]",
        b" " * 10_000_000,
    ],
    ids=lambda said: said[:20].decode("ascii", "replace"),
)
def test_an_answer_that_is_none_says_nothing(said: bytes, serve: Callable[[bytes], str]) -> None:
    assert positions(serve(said)) == ()


def test_a_name_that_a_user_chose_is_shown_as_it_may_be(serve: Callable[[bytes], str]) -> None:
    (found,) = positions(serve(one(about="\x1b[2Jtensors", call="x" * 1000)))
    assert (found.about, len(found.call)) == ("?[2Jtensors", 160)


def test_a_rank_that_does_not_answer_is_waited_for_a_moment_only(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "recorder"))
        listener.listen()
        assert positions(str(tmp_path / "recorder"), answer_s=0.1) == ()
    assert positions(str(tmp_path / "recorder")) == (), "nobody listens any more"
    os.mkfifo(tmp_path / "fifo")
    assert positions(str(tmp_path / "fifo")) == ()
    assert positions(str(tmp_path / "nowhere" / "recorder")) == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_the_socket_of_another_user_is_not_read(tmp_path: Path, serve: Callable[[bytes], str]) -> None:
    path = serve(one())
    os.chown(tmp_path, 4711, -1)
    assert positions(path) == ()
