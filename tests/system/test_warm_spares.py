"""A rank that was a spare beside one that was not: the script cannot tell which it is."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.parked import BrokenError, Parked
from dlroverd_agent.launchers.process import ProcessLauncher
from dlroverd_agent.progress import COUNTER
from dlroverd_agent.spares.learnt import Learnt, UnfitError, learn

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.view import JobView
from tests.system.fleet import SCRIPTS, Fleet, gang, pids, processes_of, until
from tests.system.launching import Seen

PORTRAIT = str(SCRIPTS / "portrait.py")
ELASTIC = str(SCRIPTS / "elastic.py")
ANY = "<of this round>"


class Bench:
    """One launcher, and the rounds that it runs of one rank."""

    def __init__(self, folder: Path) -> None:
        self.seen = Seen()
        self.launcher = ProcessLauncher(folder, self.seen)

    def order(self, argv: tuple[str, ...], round_: int, cwd: Path, **env: str) -> LaunchOrder:
        key = RankKey(1, "trainer", 0, round_, 0)
        files = self.launcher.files(key)
        given = {
            "PYTHONPATH": f"{COUNTER}:/own",
            "DLROVERD_RANK_PATH": "imports",
            "DLROVERD_PROGRESS_FILE": str(files.progress),
            "PATH": os.environ["PATH"],
            "RANK": "0",
            "WORLD_SIZE": "1",
            "OMP_NUM_THREADS": "1",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(29400 + round_),
            "TORCHELASTIC_ERROR_FILE": str(files.error),
            "TORCHELASTIC_RESTART_COUNT": str(round_),
        }
        return LaunchOrder(key=key, argv=argv, cwd=str(cwd), env=given | env, uid=os.geteuid(), gid=os.getegid())

    async def park(self, order: LaunchOrder, home: str, names: tuple[str, ...]) -> Parked:
        spare = await self.launcher.parking.park(order)
        await spare.do_imports(home, names)
        return spare

    async def run(self, order: LaunchOrder) -> tuple[ExitInfo, str, int]:
        await self.launcher.start(order)
        gone = await self.seen.until(RankState.GONE, order.key)
        assert gone.exit is not None
        return gone.exit, self.launcher.files(order.key).output.read_text(), gone.pid

    async def both(self, argv: tuple[str, ...], cwd: Path, **env: str) -> tuple[list[tuple[ExitInfo, str]], list[int]]:
        """Run it cold, and as a spare that has learnt from it."""
        cold, warm = (self.order(argv, round_, cwd, **env) for round_ in (1, 2))
        exit_, output, pid = await self.run(cold)
        learnt = await asyncio.to_thread(learn, self.launcher.files(cold.key).imports, pid, argv, str(cwd))
        assert learnt is not None
        spare = await self.park(warm, learnt.home, learnt.names)
        other, said, pid = await self.run(replace(warm, spare=spare))
        files = [self.launcher.files(order.key) for order in (cold, warm)]
        plain = [
            text.replace(str(file.directory), ANY).replace(str(29400 + round_), ANY)
            for round_, file, text in zip((1, 2), files, (output, said), strict=True)
        ]
        return [(exit_, plain[0]), (other, plain[1])], [pid]


def run_both(tmp_path: Path, argv: tuple[str, ...], cwd: Path, **env: str) -> list[tuple[ExitInfo, str]]:
    async def run() -> list[tuple[ExitInfo, str]]:
        bench = Bench(tmp_path / "state")
        await bench.launcher.recover()
        try:
            return (await bench.both(argv, cwd, **env))[0]
        finally:
            await bench.launcher.close()

    return asyncio.run(run())


@pytest.fixture
def console(tmp_path: Path) -> str:
    """A console script as pip makes it."""
    path = tmp_path / "bin" / "portray"
    path.parent.mkdir()
    head = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n"
    path.write_text(f"{head}from portrait import main\nif __name__ == '__main__':\n    main()\n")
    path.chmod(0o755)
    return str(path)


def portrait_of(text: str) -> dict[str, object]:
    lines = [line for line in text.splitlines() if line.startswith("{")]
    seen: dict[str, object] = json.loads(lines[0])
    for name in ("environ", "command"):
        seen[name] = str(seen[name]).replace("TORCHELASTIC_RESTART_COUNT': '2'", "TORCHELASTIC_RESTART_COUNT': '1'")
    environ = seen["environ"]
    seen["environ"] = sorted(str(environ)[1:-1].split(", "))
    environment = seen["environment"]
    assert isinstance(environment, list)
    seen["environment"] = sorted(re.sub("RESTART_COUNT=.", "RESTART_COUNT=", each) for each in environment)
    return seen


@pytest.mark.parametrize("what", ["0", "7", "raise", "text", "interrupt", "term", "children", "--wrong"])
def test_a_script_cannot_tell(tmp_path: Path, what: str) -> None:
    (cold, before), (warm, after) = run_both(tmp_path, (sys.executable, PORTRAIT, what), tmp_path)
    assert (warm.code, warm.signal, warm.launch_error) == (cold.code, cold.signal, "")
    if what == "--wrong":
        assert "usage: portrait.py [-h] what" in after
        assert after == before
        return
    # A portrait is JSON, of which these are lists.
    early = set(portrait_of(after)["modules"]) - set(portrait_of(before)["modules"])  # type: ignore[call-overload]
    assert not early or what == "children"  # what it imports only later is there sooner
    assert {**portrait_of(after), "modules": ()} == {**portrait_of(before), "modules": ()}
    assert after.splitlines()[1:] == before.splitlines()[1:]


def test_a_module_and_options_and_a_console_script(tmp_path: Path, console: str) -> None:
    options = ("-u", "-X", "dev", "-W", "error::SyntaxWarning", "-O")
    for number, argv in enumerate(((sys.executable, *options, "-m", "portrait", "0"), (console, "3"))):
        (cold, before), (warm, after) = run_both(tmp_path / str(number), argv, SCRIPTS)
        assert (warm.code, warm.signal, warm.launch_error) == (cold.code, cold.signal, "")
        assert portrait_of(after) == portrait_of(before)


def test_a_spare_says_its_events_where_its_round_does(tmp_path: Path) -> None:
    """With `progress: auto` an exception that ends the rank is said; what says it is loaded while it still waits."""
    said = tmp_path / "events"
    said.touch()
    env = {"DLROVERD_RANK_PATH": "steps imports", "DLROVERD_EVENTS_FILE": str(said)}
    run_both(tmp_path, (sys.executable, PORTRAIT, "raise"), tmp_path, **env)
    assert said.read_text().count("trainer.exception") == 2
    # And each offers its stack in the file of its round.
    assert [each.read_text().count("dlroverd-stacks") for each in tmp_path.rglob("stacks")] == [1, 1]


def test_an_elastic_script_of_torch_is_the_same_and_quick(tmp_path: Path) -> None:
    (cold, before), (warm, after) = run_both(tmp_path, (sys.executable, ELASTIC), tmp_path)
    assert "loss torch.Size([]) 1 1" in before
    # A text without it is a failure here too.
    cpu = [float(re.search(r"cpu ([\d.]+)", text)[1]) for text in (before, after)]  # type: ignore[index]
    assert cpu[1] < cpu[0]
    varies = r"cpu [\d.]+|[WE]\d{4} [\d:.]+ \d+"
    assert re.sub(varies, "", after) == re.sub(varies, "", before)
    assert (warm.code, warm.signal) == (cold.code, cold.signal)
    assert warm.error is not None
    assert cold.error is not None
    assert (warm.error.source, warm.error.message) == (cold.error.source, cold.error.message)


def waiting(here: Fleet, node: str = "n1") -> int:
    return (here.root / f"{node}.log").read_text().count("a spare waits")


def born(view: JobView) -> list[float]:
    return [psutil.Process(pid).create_time() for pid in pids(view)]


def test_a_killed_rank_goes_on_as_its_spare(fleet: Callable[..., Fleet]) -> None:
    here = fleet(slots=1)
    job = here.submit(str(SCRIPTS / "heavy.py"))
    first = here.until_stepping(job)
    until(lambda: waiting(here), lambda count: count == 1)
    killed_at = time.time()
    os.kill(pids(first)[0], signal.SIGKILL)
    assert max(born(here.until_stepping(job, 2))) < killed_at
    # One that was a spare itself tells what the next one needs. Without their agent spares end, and ranks go on.
    until(lambda: waiting(here), lambda count: count == 2)
    here.agents["n1"].stop(signal.SIGKILL)
    until(lambda: spares_below(here.root), lambda count: count == 0)
    here.agents["n1"].start()
    here.until_job(job, lambda view: view.state == "running")
    assert gang(here.client.job(job)).round == 2


def spares_below(folder: Path) -> int:
    """Count the processes that wait: their shims are in a folder of the agent's."""
    return sum(f"{folder}/n1/ranks/parked" in cwd for cwd in cwds())


def cwds() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield os.readlink(process / "cwd")
        except OSError:
            continue


def test_without_warm_spares_nothing_looks_on(fleet: Callable[..., Fleet], tmp_path: Path) -> None:
    script = tmp_path / "looks.py"
    code = "import os, sys; print(sorted(n for n in os.environ if 'RANK_PATH' in n), len(sys.meta_path))"
    script.write_text(code)
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps({"script": str(script), "warm_spares": False}))
    here = fleet(slots=1)
    job = here.submit("-f", str(file))
    assert here.until_over(job).state == "succeeded"
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True).stdout
    assert here.ctl("logs", str(job)).stdout == plain


BREAKS = {
    "starts a thread": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "starts a process": "import subprocess\nsubprocess.Popen(['sleep', '60'])",
    "changes sys.path": "import sys\nsys.path.insert(0, '/elsewhere')",
    "opens /dev/full": "import os\nkept = os.open('/dev/full', os.O_RDONLY)",
    "ended": "import os\nos._exit(3)",
    "SystemExit": "raise SystemExit('no')",
}


def test_what_no_spare_may_have_imported(tmp_path: Path) -> None:
    """An installed module that does such a thing has the rank start cold; the user's own are never imported."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    installed = tmp_path / "base" / "lib" / version / "site-packages"
    installed.mkdir(parents=True)
    own = tmp_path / "own"
    own.mkdir()
    mark = tmp_path / "mark"
    (own / "mine.py").write_text(f"open({str(mark)!r}, 'w')")
    (tmp_path / "shadowed.py").write_text("")
    (installed / "shadowed.py").write_text("")
    (installed / "fails.py").write_text("raise ImportError('not here')")
    for number, code in enumerate(BREAKS.values()):
        (installed / f"breaks{number}.py").write_text(code)

    async def run() -> None:
        bench = Bench(tmp_path / "state")
        await bench.launcher.recover()
        env = {"PYTHONUSERBASE": str(tmp_path / "base"), "PYTHONPATH": f"{COUNTER}:{own}"}

        python = sys._base_executable  # type: ignore[attr-defined] # typeshed leaves it out

        async def outcome(round_: int, *names: str, home: str = "/") -> str:
            order = bench.order((python, PORTRAIT, "0"), round_, tmp_path, **env)
            spare = await bench.launcher.parking.park(order)
            try:
                await spare.do_imports(home, names)
            except BrokenError as error:
                return str(error)
            finally:
                await bench.launcher.parking.unpark(order.key, spare)
            return ""

        breaking = [outcome(number, f"breaks{number}") for number in range(len(BREAKS))]
        shadowed = outcome(10, "shadowed", home=str(tmp_path))
        *said, beside, nothing = await asyncio.gather(
            *breaking, shadowed, outcome(11, "fails", "mine", "shadowed", "no.such.module")
        )
        assert all(words in text for words, text in zip(BREAKS, said, strict=True)), said
        assert (beside, nothing) == (f"{tmp_path} holds another shadowed", "")
        assert not mark.exists()
        await bench.launcher.close()

    asyncio.run(run())
    until(lambda: list(processes_of(tmp_path)), lambda left: not left)


@pytest.mark.parametrize(
    ("words", "argv", "fit"),
    [
        (["/py", "x.py", "1"], ("/py", "x.py", "1"), True),
        (["/py", "x.py", "1"], ("/bin/sh", "run.sh"), False),
        (["/real/py", "x.py"], ("/shims/py", "x.py"), False),
    ],
)
def test_a_command_must_be_pythons_alone(tmp_path: Path, words: list[str], argv: tuple[str, ...], fit: bool) -> None:
    page = tmp_path / "imports"
    page.write_text("\0".join(["7", str(len(words)), *words, "=0.500", "xml", "xml.dom", "=1.250", "json", ""]))
    if fit:
        assert learn(page, 7, argv, "/cwd") == Learnt(names=("xml", "xml.dom", "json"), cpu_s=1.25, home="/cwd")
        with pytest.raises(UnfitError, match="Python is not its main process"):
            learn(page, 8, argv, "/cwd")
    else:
        with pytest.raises(UnfitError, match="is not Python, nor a script that names it"):
            learn(page, 7, argv, "/cwd")


@pytest.mark.parametrize("text", ["", "7\0", "7\x002\0x\0", "no\x001\0x\0", "7\0-3\0=x\0"])
def test_a_page_that_makes_no_sense_teaches_nothing(tmp_path: Path, text: str) -> None:
    page = tmp_path / "imports"
    page.write_text(text)
    try:
        learnt = learn(page, 7, ("/py", "x.py"), "/")
    except UnfitError:
        return
    assert learnt is None or not learnt.names
