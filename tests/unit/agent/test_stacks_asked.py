"""Where py-spy may not read a rank, the rank writes its stack itself; nobody dies of being asked."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from dlroverd_agent.stacks.asked import ask, parsed
from dlroverd_agent.stacks.child import Asked

from dlroverd.model.stacks import ThreadStack
from tests.system.fleet import until

SCRIPT = """
import sys, time
{}
def nap(): time.sleep(1000)
print(flush=True)
nap()
"""
NAP = ["nap (train.py:4)", "<module> (train.py:6)"]
IMPORT = "import dlroverd_train"
NUMBER = signal.SIGRTMIN + 16


def calls(threads: tuple[ThreadStack, ...]) -> list[str]:
    """Give the calls of a main thread that was asked."""
    return [str(each) for thread in threads for each in thread.frames]


@contextmanager
def running(folder: Path, begin: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Have a rank run whose files are in a folder, until the block ends."""
    script = folder / "train.py"
    script.write_text(SCRIPT.format(begin))
    env = {**os.environ, "DLROVERD_PROGRESS_FILE": str(folder / "progress")}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
            assert process.poll() is None, "it was ended by being asked"
        finally:
            process.kill()


def test_a_rank_writes_its_stack_each_time_that_it_is_asked(tmp_path: Path) -> None:
    with running(tmp_path, IMPORT) as process:
        # Once it naps; and once more.
        for _ in range(2):
            (thread,) = until(lambda: ask(process.pid, str(tmp_path / "stacks")), lambda of: calls(of) == NAP)
            assert (thread.tid, thread.name) == (process.pid, "MainThread")


@pytest.mark.parametrize(
    "begin",
    [
        "",
        f"{IMPORT}, signal; signal.signal({NUMBER}, signal.SIG_DFL)",
        f"{IMPORT}, signal; signal.signal({NUMBER}, signal.SIG_IGN)",
        f"{IMPORT}, signal; signal.pthread_sigmask(signal.SIG_BLOCK, [{NUMBER}])",
        f"import signal; signal.signal({NUMBER}, lambda *_: sys.exit(1)); {IMPORT}",
        f"import os; os.environ.pop('DLROVERD_PROGRESS_FILE'); {IMPORT}",
    ],
    ids=["unchanged", "not-handled", "ignored", "blocked", "of-its-own", "outside"],
)
def test_one_that_does_not_handle_the_signal_for_us_is_not_asked(tmp_path: Path, begin: str) -> None:
    with running(tmp_path, begin) as process:
        assert ask(process.pid, str(tmp_path / "stacks")) == ()


def test_a_process_that_a_rank_starts_leaves_its_file_alone(tmp_path: Path) -> None:
    child = "import subprocess; subprocess.run([sys.executable, '-c', 'import dlroverd_train'], check=True)"
    with running(tmp_path, f"{IMPORT}\n{child}") as process:
        assert ask(process.pid, str(tmp_path / "stacks"))
        assert (tmp_path / "stacks").read_text().count("dlroverd-stacks") == 1


def test_what_another_process_said_of_itself_counts_for_nobody_else(tmp_path: Path) -> None:
    with running(tmp_path, IMPORT) as process:
        said = tmp_path / "said"
        said.write_text(f"dlroverd-stacks {os.getpid()} {NUMBER}\n")
        assert ask(process.pid, str(said)) == ()
        assert ask(os.getpid(), str(said)) == ()
        (tmp_path / "link").symlink_to(tmp_path / "stacks")
        assert ask(process.pid, str(tmp_path / "link")) == ()
        assert ask(process.pid, str(tmp_path / "none")) == ()


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="takes a right away, as root may")
def test_an_agent_that_may_not_look_asks(tmp_path: Path) -> None:
    with running(tmp_path, IMPORT) as process:
        until(lambda: ask(process.pid, str(tmp_path / "stacks")), lambda of: calls(of) == NAP)
        rank = Asked(pid=process.pid, stacks=str(tmp_path / "stacks"), recorder=str(tmp_path / "recorder"))
        question = {"ranks": {"r": asdict(rank)}, "looks": 2, "apart_s": 0.0}
        words = ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-m", "dlroverd_agent.stacks.child"]
        done = subprocess.run(
            [*words, str(os.getpid())], input=json.dumps(question).encode(), capture_output=True, check=True
        )
        answer = json.loads(done.stdout)
    (seen,) = answer["processes"]
    assert (answer["name"], seen["problem"], seen["looks"]) == ("r", "", 2)
    assert [each["function"] for each in seen["threads"][0]["frames"]] == ["nap", "<module>"]
    assert seen["threads"][0]["moved"] == 0


def test_files_are_named_as_by_py_spy_and_hold_nothing_that_a_terminal_obeys() -> None:
    text = """Stack (most recent call first):
  File "/opt/venv/lib/python3.12/site-packages/torch/autograd/graph.py", line 979 in _engine_run_backward
  File "/usr/lib/python3.12/threading.py", line 12 in wait
  File "<string>", line 1 in f
  File "/home/ann/a\x1b[2Jb.py", line 3 in <module>
  ...
"""
    assert calls(parsed(7, text)) == [
        "_engine_run_backward (torch/autograd/graph.py:979)",
        "wait (threading.py:12)",
        "f (<string>:1)",
        "<module> (a?[2Jb.py:3)",
    ]
