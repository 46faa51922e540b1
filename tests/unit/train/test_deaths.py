"""How a process ends is the same with `events.install()` as without, and what can be told of it is told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.train.said import read, run

INSTALL = "from dlroverd_train import events; events.install()\n"
KILL = "import os, signal\nos.kill(os.getpid(), signal.SIG{})\n"
IN_THREAD = "import threading\ndef f():\n{}\nthread = threading.Thread(target=f); thread.start(); thread.join()\n"
FORKED = "import os\npid = os.fork()\nif pid == 0:\n{}\n    os._exit(0)\n"
FORKED += "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
CHILDREN = """
import multiprocessing, os, signal, sys
def raises(): raise ValueError("child")
def leaves(): sys.exit(6)
def crashes(): os.kill(os.getpid(), signal.SIGSEGV)
def stopped(): os.kill(os.getpid(), signal.SIGTERM)
for way in ("fork", "spawn"):
    for what in (raises, leaves, crashes, stopped):
        if __name__ == "__main__":
            child = multiprocessing.get_context(way).Process(target=what)
            child.start(); child.join(); print(way, child.exitcode)
"""


def indented(script: str) -> str:
    return "".join(f"    {line}\n" for line in script.splitlines())


SILENT = {
    "sys.exit(0)": "import sys; sys.exit(0)",
    "sys.exit(3)": "import sys; sys.exit(3)",
    "sys.exit(text)": "import sys; sys.exit('a sentence')",
    "os._exit": "import os; os._exit(4)",
    "exit in a thread": IN_THREAD.format("    raise SystemExit(3)"),
    "mute": "import sys; sys.stderr.close(); sys.stderr = None; raise ValueError",
    **{name: KILL.format(name) for name in ("TERM", "KILL", "INT", "HUP", "QUIT", "USR1", "PIPE")},
    **{f"{name} in a thread": IN_THREAD.format(indented(KILL.format(name))) for name in ("TERM", "KILL")},
    **{f"{name} in a forked child": FORKED.format(indented(KILL.format(name))) for name in ("TERM", "KILL")},
    "a forked child": FORKED.format("    import sys; sys.exit(5)"),
    "interrupt": "raise KeyboardInterrupt",
    "own handler": "import os, signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(9))\n"
    + KILL.format("TERM"),
    "seen": "import signal\nfor each in signal.Signals: print(each, signal.getsignal(each))",
}
RAISING = {
    "exception": "def f(): raise ValueError('a reason')\nf()",
    "chained": "try: 1/0\nexcept Exception as e: raise KeyError('k') from e",
    "no text": "class Odd(Exception):\n    def __str__(self): raise RuntimeError\nraise Odd",
    "in a thread": IN_THREAD.format("    raise ValueError('a reason')"),
    "in a forked child": FORKED.format("    raise ValueError('a reason')").replace("    os._exit(0)\n", ""),
    "own hook": "import sys\nsys.excepthook = lambda *args: print('mine', args[0])\nraise ValueError('a reason')",
}
CRASHING = {
    "null": "import ctypes; ctypes.string_at(0)",
    "abort": "import os; os.abort()",
    **{name: KILL.format(name) for name in ("SEGV", "BUS", "FPE", "ILL", "ABRT")},
    **{f"{name} in a thread": IN_THREAD.format(indented(KILL.format(name))) for name in ("SEGV", "FPE")},
    "forked": FORKED.format(indented(KILL.format("SEGV"))),
}


def both(script: str, file: Path) -> tuple[tuple[int, str, str], tuple[int, str, str]]:
    """Run a script with our hooks and without: exit status, stdout and stderr of each."""
    options = {"env": {**os.environ, "DLROVERD_EVENTS_FILE": str(file)}, "text": True}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", f"{line}{script}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
        )  # type: ignore[call-overload] # the two options are right for it
        for line in (INSTALL, "\n")
    ]
    ends = []
    for process in started:
        out, err = process.communicate(timeout=60)
        ends.append((process.returncode, out, err))
    return ends[0], ends[1]


@pytest.mark.parametrize("case", SILENT)
def test_an_end_without_an_exception_is_the_same_and_says_nothing(case: str, tmp_path: Path) -> None:
    ours, plain = both(SILENT[case], tmp_path / "events")
    assert ours == plain
    if case != "mute":
        assert read(tmp_path / "events") == []


@pytest.mark.parametrize("case", RAISING)
def test_an_exception_that_nothing_catches_is_told_and_ends_it_as_before(case: str, tmp_path: Path) -> None:
    ours, plain = both(RAISING[case], tmp_path / "events")
    assert ours == plain
    events = read(tmp_path / "events")
    if case == "own hook":
        assert events == []  # a script's own hook, set later, is the script's own affair
        return
    (event,) = events
    assert (event["n"], event["s"]) == ("trainer.exception", "error")
    assert event["b"]["type"] in ("ValueError", "KeyError", "Odd")
    if case == "exception":
        assert event["b"]["message"] == "a reason"
        assert event["b"]["stack"].startswith("Traceback (most recent call last):\n")
        assert event["b"]["stack"].endswith("ValueError: a reason\n")


@pytest.mark.parametrize("case", CRASHING)
def test_a_crash_ends_it_as_before_and_shows_its_stacks(case: str, tmp_path: Path) -> None:
    ours, plain = both(CRASHING[case], tmp_path / "events")
    assert ours[:2] == plain[:2]
    assert ours[0] < 0 or case == "forked"
    assert "Fatal Python error: " in ours[2]
    assert "most recent call first" in ours[2]
    assert plain[2] == ""


def test_children_of_multiprocessing_end_as_before(tmp_path: Path) -> None:
    script = tmp_path / "children.py"
    ends = []
    for line in (INSTALL, "\n"):
        script.write_text(line + CHILDREN)
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
        ends.append((done.returncode, done.stdout))
    assert ends[0] == ends[1]
    codes = ("1", "6", "-11", "-15")
    assert ends[0][1].splitlines() == [f"{way} {code}" for way in ("fork", "spawn") for code in codes]


WORKERS = """
import os, signal, torch
class Data(torch.utils.data.Dataset):
    def __init__(self, crash): self.crash = crash
    def __len__(self): return 2
    def __getitem__(self, index):
        if self.crash: os.kill(os.getpid(), self.crash)
        raise ValueError("in a worker")
for crash in (0, signal.SIGSEGV, signal.SIGKILL):
    try: list(torch.utils.data.DataLoader(Data(crash), num_workers=1))
    except Exception as error: print(type(error).__name__, str(error).split("(pid")[0])
raise KeyError("last")
"""


def test_workers_of_a_data_loader_end_as_before(tmp_path: Path) -> None:
    ours, plain = both(WORKERS, tmp_path / "events")
    assert ours[:2] == plain[:2]
    assert "ValueError: in a worker" in ours[1]
    assert ours[1].count("DataLoader worker") == 3
    assert [each["b"]["type"] for each in read(tmp_path / "events")] == ["KeyError"]


def test_term_ends_at_once_a_rank_that_waits_outside_of_the_interpreter(tmp_path: Path) -> None:
    """As in a collective whose peer is gone: a handler in Python would not run, and TERM would do nothing."""
    script = INSTALL + "import hashlib; print('waits', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"
    env = {**os.environ, "DLROVERD_EVENTS_FILE": str(tmp_path / "events")}
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"waits\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM


def test_faulthandler_that_is_enabled_is_left_as_it_is(tmp_path: Path) -> None:
    own = tmp_path / "own"
    enable = f"import faulthandler; own = open({str(own)!r}, 'w'); faulthandler.enable(own)\n"
    said = run(enable + INSTALL + INSTALL + KILL.format("SEGV"), tmp_path / "events")
    assert (said.code, said.err) == (-signal.SIGSEGV, "")
    assert "Fatal Python error: Segmentation fault" in own.read_text()


def test_hooks_of_before_are_called_and_nothing_is_installed_by_an_import(tmp_path: Path) -> None:
    before = "import sys, threading\nsys.excepthook = lambda *args: print('before', args[1])\n"
    said = run(before + INSTALL + INSTALL + "raise ValueError('x')", tmp_path / "events")
    assert (said.code, said.out, said.err) == (1, "before x\n", "")
    assert len(said.events) == 1
    script = (
        "import faulthandler, sys, threading; hooks = sys.excepthook, threading.excepthook, faulthandler.is_enabled()\n"
        "from dlroverd_train import events\n"
        "print(hooks == (sys.excepthook, threading.excepthook, faulthandler.is_enabled()))"
    )
    assert run(script, tmp_path / "events").out == "True\n"
