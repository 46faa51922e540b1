"""Stacks of real processes: one that sleeps, one that works, one that is stopped, one that ends meanwhile."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.stacks.collector import StackCollector
from dlroverd_agent.stacks.look import Look, compared, look, python_in

from dlroverd.model.ids import RankKey
from dlroverd.model.stacks import Frame, ThreadStack
from dlroverd.protocol.messages import StackRequest
from tests.system.fleet import until

KEY = RankKey(1, "trainer", 0, 1, 0)
SLEEPS = "import sys, time\ndef nap(): time.sleep(1000)\nprint(flush=True)\nnap()"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: look(process.pid, "", native=False), lambda seen: seen.state == "S" and len(_frames(seen)) == 2)
        yield process
        process.kill()


def files(key: RankKey) -> RankFiles:
    return RankFiles(Path("/nowhere") / key.unit)


def _frames(seen: Look) -> list[str]:
    return [frame.function for frame in seen.threads[0].frames] if seen.threads else []


def test_a_process_that_sleeps_is_seen_to_stand_still(sleeper: "subprocess.Popen[bytes]") -> None:
    seen = compared(sleeper.pid, [look(sleeper.pid, "", native=False), look(sleeper.pid, "", native=True)])
    assert (seen.state, seen.problem, seen.looks) == ("S", "", 2)
    assert [frame.function for frame in seen.threads[0].frames if not frame.native] == ["nap", "<module>"]
    assert seen.threads[0].moved == 0
    assert any(frame.native for frame in seen.threads[0].frames)


def test_a_process_that_is_stopped_is_read_as_it_is(sleeper: "subprocess.Popen[bytes]") -> None:
    sleeper.send_signal(signal.SIGSTOP)
    seen = until(lambda: look(sleeper.pid, "", native=True), lambda each: each.state == "T")
    assert _frames(seen) == ["nap", "<module>"]


def test_names_that_a_user_chose_hold_nothing_that_a_terminal_obeys() -> None:
    script = "import sys, time\nexec(compile('print(flush=True)\\ntime.sleep(1000)', 'a\\x1b[2Jb.py', 'exec'))"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        seen = until(lambda: look(process.pid, "", native=False), lambda each: bool(each.threads))
        process.kill()
    assert seen.threads[0].frames[0].file == "a?[2Jb.py"


def test_a_process_that_has_ended_is_a_sentence() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert compared(process.pid, [look(process.pid, "", native=True)]).problem == "it has ended"


def test_a_process_that_dies_while_it_is_looked_at_is_a_sentence() -> None:
    # Whether py-spy is done before the process is killed is for the scheduler to say.
    seen = next((seen for _ in range(5) if (seen := killed_meanwhile()).problem), None)
    assert seen is not None
    assert seen.problem == "it ended while it was looked at"
    assert compared(7, [seen]).problem == seen.problem


def killed_meanwhile() -> Look:
    """Look at a process that is killed once py-spy has begun."""
    with (
        subprocess.Popen([sys.executable, "-c", SLEEPS], stdout=subprocess.PIPE) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        looking = pool.submit(look, process.pid, "", native=True)
        while not (py_spy_runs() or looking.done()):
            pass  # at once: it is done in a tenth of a second
        process.kill()
        process.wait()
        return looking.result()


def py_spy_runs() -> bool:
    """Whether one of this process's threads has started py-spy."""
    for file in Path("/proc/self/task").glob("*/children"):
        for child in file.read_text(encoding="ascii").split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text(encoding="utf-8") == "py-spy\n":
                    return True
    return False


def test_a_program_that_is_not_python_is_a_sentence() -> None:
    with subprocess.Popen([shutil.which("sleep") or "sleep", "1000"]) as process:
        seen = look(process.pid, "", native=False)
        process.kill()
    assert seen.problem
    assert seen.state


def test_python_is_found_behind_a_shell_script() -> None:
    words = ["sh", "-c", f"{sys.executable} -c '{SLEEPS}'; :"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = python_in(process.pid)
        os.killpg(process.pid, signal.SIGKILL)
    assert found != process.pid


def test_what_moves_between_looks_is_counted_from_the_outermost_call_on() -> None:
    def at(*names: str) -> Look:
        frames = tuple(Frame(function=name, file="x.py", line=1) for name in names)
        return Look(float(len(names)), state="R", threads=(ThreadStack(tid=7, frames=frames),), cpu_s={7: len(names)})

    seen = compared(7, [at("a", "main"), at("c", "b", "main")])
    assert (seen.threads[0].moved, seen.threads[0].cpu_ratio, seen.state) == (2, 1.0, "R")
    assert compared(7, [at("a", "main"), Look(3.0, problem="it has ended")]).problem == "it has ended"


def test_looks_of_two_kinds_are_not_compared() -> None:
    def by(name: str, *, asked: bool) -> Look:
        threads = (ThreadStack(tid=7, frames=(Frame(function=name, file="x.py", line=1),)),)
        return Look(1.0, state="S", threads=threads, asked=asked)

    late = Look(2.0, state="S", problem="py-spy was not done within 6 s")
    for looks in ([by("f", asked=True), by("A.f", asked=False)], [by("A.f", asked=False), late]):
        seen = compared(7, looks)
        assert (seen.looks, seen.threads[0].moved, seen.threads[0].frames[0].function) == (1, 0, "A.f")
    assert compared(7, [by("f", asked=True), by("f", asked=True)]).looks == 2


def test_an_agent_answers_for_each_rank_that_it_is_asked_about(sleeper: "subprocess.Popen[bytes]") -> None:
    gone, unknown = RankKey(1, "trainer", 0, 1, 1), RankKey(1, "trainer", 0, 1, 2)
    ended = subprocess.Popen(["true"])
    ended.wait()
    collector = StackCollector("n1", lambda: {KEY: sleeper.pid, gone: ended.pid}, files, margin_s=60.0)
    request = StackRequest(id="a", ranks=(KEY, gone, unknown), looks=2, apart_s=0.1)
    first, second, third = asyncio.run(collector.take(request)).ranks
    assert first.main is not None
    assert first.main.frames[-1].native or first.main.frames[-1].function == "<module>"
    assert second.processes[0].problem == "it has ended"
    assert third.problem == "it does not run (any more)"


def test_a_look_that_does_not_end_in_time_is_a_sentence(sleeper: "subprocess.Popen[bytes]") -> None:
    collector = StackCollector("n1", lambda: {KEY: sleeper.pid}, files, margin_s=0.0)
    request = StackRequest(id="a", ranks=(KEY,), looks=1, apart_s=0.0)
    (seen,) = asyncio.run(collector.take(request)).ranks
    assert seen.problem.startswith("it was not looked at within 0 s")
