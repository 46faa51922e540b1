"""`run --standalone`: a daemon and an agent of the command's own, of which nothing is left afterwards."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.system.fleet import DLROVERCTL, ROOT, SCRIPTS, dlroverctl, processes_of, until, until_ended, until_none

STEPS = str(SCRIPTS / "steps.py")
DIGITS = str(ROOT / "examples" / "digits.py")
Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def state_home(tmp_path: Path) -> Iterator[Path]:
    """Where standalone jobs keep what they keep. Of none of them a process may be left."""
    yield tmp_path
    left = until_none(tmp_path)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left, f"these processes were left: {left}"


@pytest.fixture
def run(state_home: Path) -> Iterator[Run]:
    """Have `run --standalone` run beside the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> "subprocess.Popen[str]":
        started.append(
            subprocess.Popen(
                [*DLROVERCTL, "run", "--standalone", *words],
                env={**os.environ, "XDG_STATE_HOME": str(state_home)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[0]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines_until(stream: IO[str] | None, wanted: str) -> list[str]:
    """Read lines up to one that holds a text."""
    assert stream is not None
    read: list[str] = []
    for line in stream:
        read.append(line)
        if wanted in line:
            return read
    raise AssertionError(f"{wanted!r} never came: {read}")


def shown_pids(state_home: Path) -> dict[str, int]:
    """Give the pids of the daemon, the agent, the keeper and of the rank, by what they run."""
    found: dict[str, int] = {}
    for pid in processes_of(state_home):
        command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
        for name in ("daemon.main", "dlroverd_agent.main", "cli.keeper", "shim.py", "steps.py"):
            if name in command and "run\0--standalone" not in command:
                found[name] = pid
    return found


def test_a_torchrun_line_runs_as_it_is(state_home: Path) -> None:
    words = ("run", "torchrun", "--standalone", "--nproc-per-node", "2", DIGITS, "--epochs", "1")
    done = dlroverctl(*words, XDG_STATE_HOME=str(state_home), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stderr
    assert "[rank0] epoch 1 step 22 loss" in done.stdout
    assert "[rank0] accuracy 0." in done.stdout
    assert "resumed" not in done.stdout
    again = dlroverctl(*words, XDG_STATE_HOME=str(state_home), CUDA_VISIBLE_DEVICES="")
    assert "resumed" not in again.stdout  # another run: it has a run id, and so a checkpoint folder, of its own


def test_a_failure_is_named_and_its_files_are_kept(state_home: Path) -> None:
    words = ("run", "--standalone", "--max-restarts", "0", "--nproc-per-node", "2", STEPS, "--steps", "3", "--fail")
    done = dlroverctl(*words, XDG_STATE_HOME=str(state_home))
    assert done.returncode == 5
    assert "raised ValueError" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "are kept in" in line]
    folder = Path(line.rpartition(" ")[2])
    assert folder.stat().st_mode & 0o777 == 0o700
    outputs = [path.read_text() for path in folder.rglob("output.log")]
    assert any("ValueError: the loss is not a number" in text for text in outputs)


def test_a_killed_rank_is_told_of_and_the_job_goes_on(state_home: Path, run: Run) -> None:
    process = run("--python", sys.executable, STEPS, "--steps", "300")
    lines_until(process.stdout, "step 20")
    os.kill(shown_pids(state_home)["steps.py"], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "was killed by SIGKILL, which dlroverd did not send; " in said
    assert "; restart 1 of 3" in said
    assert "recovered in " in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_job(run: Run, number: signal.Signals, code: int) -> None:
    process = run("--python", sys.executable, STEPS)
    lines_until(process.stdout, "step 3")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "job 1 was cancelled" in said


def test_a_second_ctrl_c_kills_what_does_not_stop(run: Run) -> None:
    process = run("--python", sys.executable, "--shutdown-timeout", "3600", STEPS, "--ignore-term")
    lines_until(process.stdout, "step 3")
    process.send_signal(signal.SIGINT)
    lines_until(process.stderr, "stopping the job")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.parametrize("victims", [("run",), ("run", "daemon.main"), ("cli.keeper",), ("dlroverd_agent.main",)])
def test_whatever_is_killed_nothing_is_left(state_home: Path, run: Run, victims: tuple[str, ...]) -> None:
    forever = {"run", "cli.keeper"} & set(victims)
    process = run("--python", sys.executable, STEPS, "--steps", "1000000" if forever else "200")
    lines_until(process.stdout, "step 3")
    pids = {**shown_pids(state_home), "run": process.pid}
    for victim in victims:
        os.kill(pids[victim], signal.SIGKILL)
    if "run" in victims:
        until_ended(pids["steps.py"])  # it belonged to the terminal
    else:
        output, said = process.communicate(timeout=90)
        assert process.returncode == (1 if forever else 0), said
        assert forever or "step 200\n" in output
    until(lambda: list(processes_of(state_home)), lambda left: not left)


def test_more_than_one_node_is_refused(state_home: Path) -> None:
    done = dlroverctl("run", "--standalone", "--nnodes", "2", STEPS, XDG_STATE_HOME=str(state_home))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "dlroverctl: --standalone runs on this host alone, and the job asks for 2 nodes; "
        "drop --nnodes, or submit it to a fleet without --standalone.\n"
    )
