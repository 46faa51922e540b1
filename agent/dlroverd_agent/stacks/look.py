"""One look at a process: what the kernel says of it, and py-spy of its threads. Blocking, each look with a deadline."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlroverd.model.stacks import Frame, ProcessStack, ThreadStack
from dlroverd_agent.stacks.asked import ask
from dlroverd_agent.stacks.frames import MOST_FRAMES, frame, text

DUMP_S = 6.0
_TICKS = os.sysconf("SC_CLK_TCK")
_MOST_THREADS = 8
# py-spy would wait for these to stop, which they do not: they are read as they are.
STILL = frozenset("TtDXZ")
_NOT_PYTHON = "it is no Python program, or one that py-spy does not know"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one process at one moment; `cpu_s` of each of its threads.

    `asked`: it wrote its stack itself, which names calls otherwise than py-spy does.
    """

    at: float
    state: str = ""
    wchan: str = ""
    problem: str = ""
    threads: tuple[ThreadStack, ...] = ()
    cpu_s: dict[int, float] = field(default_factory=dict)
    asked: bool = False


def look(pid: int, file: str, *, native: bool) -> Look:
    """Look at a process; `native` asks for the frames of libraries too, which takes about a second.

    `file` is where it writes its stack itself, if asked to; "" if nowhere.
    """
    try:
        state, cpu_s = _kernel(pid)
    except OSError:
        return Look(time.monotonic(), problem="it has ended")
    threads, problem = _dump(pid, state, native=native)
    if problem and not os.path.exists(f"/proc/{pid}"):
        problem = "it ended while it was looked at"
    elif problem and file and state not in STILL and (threads := ask(pid, file)):
        return Look(time.monotonic(), state, _wchan(pid), "", threads, cpu_s, asked=True)
    return Look(time.monotonic(), state, _wchan(pid), problem, threads, cpu_s)


def compared(pid: int, looks: Sequence[Look]) -> ProcessStack:
    """Make one of several looks: the last one, and how far each of its threads moved since the first."""
    last = looks[-1]
    read = [each for each in looks if each.threads and not each.asked] or [each for each in looks if each.threads]
    threads = tuple(_with_moves(thread, read) for thread in read[-1].threads) if read else ()
    states = {each.state for each in looks}
    return ProcessStack(
        pid=pid,
        # One that waits is seen running now and then, and one that works waiting: only what is always so counts.
        state=last.state if len(states) == 1 or last.state in ("T", "t", "Z", "X", "") else "S",
        wchan=last.wchan,
        problem=last.problem if last.problem and (not threads or not last.state) else "",
        looks=len(read),
        threads=threads,
    )


def python_in(pid: int) -> int:
    """Find the Python program that a wrapper runs (a shell script, `numactl`); the process itself if there is none."""
    found, below = pid, [pid]
    while below:
        found = below[0]
        try:
            if "python" in os.path.basename(os.readlink(f"/proc/{found}/exe")):
                return found
            below = [*_children(found), *below[1:]]
        except OSError:
            del below[0]  # it has ended
    return pid


def children(pid: int, most: int) -> list[int]:
    """Find the processes that a program forked or started of itself, such as the workers of a data loader."""
    try:
        program = os.readlink(f"/proc/{pid}/exe")
        return [each for each in _children(pid) if _is(each, program)][:most]
    except OSError:
        return []  # it has ended, or this kernel does not tell


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _is(pid: int, program: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/exe") == program
    except OSError:
        return False


def _with_moves(thread: ThreadStack, looks: Sequence[Look]) -> ThreadStack:
    seen = [(each, same) for each in looks for same in each.threads if same.tid == thread.tid]
    stacks = [[frame for frame in reversed(same.frames) if not frame.native] for _, same in seen]
    same_frames = 0
    for frames in zip(*stacks, strict=False):
        if any(frame != frames[0] for frame in frames):
            break
        same_frames += 1
    first, last = looks[0], looks[-1]
    spent_s = last.cpu_s.get(thread.tid, 0.0) - first.cpu_s.get(thread.tid, last.cpu_s.get(thread.tid, 0.0))
    return ThreadStack(
        tid=thread.tid,
        name=thread.name,
        cpu_ratio=round(spent_s / (last.at - first.at), 3) if last.at > first.at else 0.0,
        moved=max(map(len, stacks), default=0) - same_frames,
        frames=thread.frames,
    )


def _kernel(pid: int) -> tuple[str, dict[int, float]]:
    """Give the state of the main thread, and the CPU seconds of each. OSError if there is no such process."""
    # After the name, which may hold anything: state, and from the 12th on the times (proc(5)).
    of_threads = {int(tid): _stat(f"/proc/{pid}/task/{tid}/stat") for tid in os.listdir(f"/proc/{pid}/task")}
    if not of_threads.get(pid):
        raise ProcessLookupError(pid)
    spent = {tid: sum(map(int, stat[11:13])) / _TICKS for tid, stat in of_threads.items() if stat}
    return of_threads[pid][0], spent


def _stat(path: str) -> list[str]:
    try:
        return Path(path).read_bytes().rpartition(b")")[2].decode("ascii").split()
    except OSError:
        return []  # the thread has ended


def _wchan(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/wchan").read_text(encoding="ascii")
    except OSError:
        return ""
    return "" if name == "0" else name


def _dump(pid: int, state: str, *, native: bool) -> tuple[tuple[ThreadStack, ...], str]:
    program = py_spy()
    if not program:
        return (), "py-spy is not installed beside the agent: install it into the agent's environment"
    how = ["--nonblocking"] if state in STILL else ["--native"] if native else []
    words = [program, "dump", "--json", "--pid", str(pid)]
    try:
        done = subprocess.run([*words, *how], capture_output=True, timeout=DUMP_S, check=False)
        if done.returncode and how == ["--native"]:  # a library that it cannot read: then without
            done = subprocess.run(words, capture_output=True, timeout=DUMP_S, check=False)
        return (_threads(pid, json.loads(done.stdout)), "") if not done.returncode else ((), _said(done.stderr))
    except subprocess.TimeoutExpired:
        return (), f"py-spy was not done within {DUMP_S:g} s"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return (), f"py-spy could not be run: {error}"


def py_spy() -> str:
    """Find py-spy: beside the agent's interpreter, else in PATH; "" if there is none."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy") or ""


def _threads(pid: int, dumped: list[dict[str, Any]]) -> tuple[ThreadStack, ...]:
    threads = [_thread(each) for each in dumped if each["pid"] == pid and each["frames"]]
    return tuple(sorted(threads, key=lambda thread: thread.tid != pid)[:_MOST_THREADS])


def _thread(said: dict[str, Any]) -> ThreadStack:
    return ThreadStack(
        tid=int(said["os_thread_id"] or 0),
        name=text(str(said["thread_name"] or "")),
        frames=tuple(_frame(each) for each in said["frames"][:MOST_FRAMES]),
    )


def _frame(said: dict[str, Any]) -> Frame:
    file = str(said["short_filename"] or said["filename"])
    return frame(str(said["name"]), file, int(said["line"] or 0), native=said["module"] is not None)


def _said(stderr: bytes) -> str:
    """Say in one line what py-spy says in many."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines()]
    said = next((line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")), "")
    if "find python version" in said:
        return _NOT_PYTHON
    causes = [line.partition(": ")[2] for line in lines if line[:1].isdigit() and ": " in line]
    if any("ermission denied" in line or "not permitted" in line for line in lines):
        return "the agent may not look into it: run the agent as root, or allow it ptrace (kernel.yama.ptrace_scope)"
    return f"py-spy says: {': '.join([said, *causes[:1]])}"[:300]
