"""What tests of launchers share: orders to start, what is told of them, and programs that do not go quietly."""

import asyncio
import os
import select
import sys
from pathlib import Path

from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.leftovers import MARKER

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation

LIMIT_S = 30
FOR_EVER_S = 3600.0
KEY = RankKey(1, "trainer", 0, 1, 0)
SLEEP = "import time; print('ready'); time.sleep(3600)"
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
# Waits for the file named in $GO to be readable: the test's way of saying "now".
AWAITS_GO = "import os; print('ready'); open(os.environ['GO']).read(); "


CHILD = "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(w, b'.'); time.sleep(3600)"
TREES = {
    "fork": f"if os.fork() == 0: {CHILD}",
    "children of children": f"if os.fork() == 0: os.fork(); os.fork(); {CHILD}",
    "double fork": f"if os.fork() == 0:\n  if os.fork() == 0: {CHILD}\n  os._exit(0)",
    "setsid": f"if os.fork() == 0: os.setsid(); {CHILD}",
    "daemon": f"if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: {CHILD}\n  os._exit(0)",
}
HANGS = (
    "import time, traceback\ntry: raise ValueError('why')\nexcept ValueError: traceback.print_exc()\ntime.sleep(3600)"
)


class Seen:
    """What the launcher found at its start, what it told since, and waiting for more of that."""

    def __init__(self) -> None:
        self.found: list[RankObservation] = []
        self.told: list[RankObservation] = []
        self._news = asyncio.Event()

    def __call__(self, observation: RankObservation) -> None:
        self.told.append(observation)
        self._news.set()

    async def until(self, state: RankState, key: RankKey = KEY) -> RankObservation:
        seen = await self._first((state, RankState.GONE), key)
        assert seen.state is state, f"{state} never came: {seen}"
        return seen

    async def begun(self, key: RankKey = KEY) -> RankState:
        """Wait until it is seen whether a rank runs: RUNNING, or GONE."""
        return (await self._first((RankState.RUNNING, RankState.GONE), key)).state

    async def _first(self, states: tuple[RankState, ...], key: RankKey) -> RankObservation:
        async with asyncio.timeout(LIMIT_S):
            while True:
                for observation in self.found + self.told:
                    if observation.key == key and observation.state in states:
                        return observation
                self._news.clear()
                await self._news.wait()

    async def end(self, key: RankKey = KEY) -> ExitInfo:
        gone = await self.until(RankState.GONE, key)
        assert gone.exit is not None
        return gone.exit

    def states(self, key: RankKey = KEY) -> list[RankState]:
        states: list[RankState] = []
        for observation in self.told:
            if observation.key == key and observation.state not in states:
                states.append(observation.state)
        return states


def order(*argv: str, key: RankKey = KEY, env: dict[str, str] | None = None, cwd: str = "/") -> LaunchOrder:
    env = {"PYTHONUNBUFFERED": "1"} | (env or {})
    return LaunchOrder(key=key, argv=argv, cwd=cwd, env=env, uid=os.geteuid(), gid=os.getegid())


def python(code: str, *, key: RankKey = KEY, env: dict[str, str] | None = None) -> LaunchOrder:
    return order(sys.executable, "-c", code, key=key, env=env)


def forking(tree: str) -> str:
    return f"import os, signal, time\nr, w = os.pipe()\n{TREES[tree]}\nos.read(r, 1)\nprint('ready')\n"


def carriers(directory: Path) -> list[int]:
    """All processes that carry the rank's marker, found independently of the launcher."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"{MARKER}={directory}\0".encode() in environ:
            found.append(int(process.name))
    return found


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def ended(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = await asyncio.to_thread(select.select, [descriptor], [], [], LIMIT_S)
    finally:
        os.close(descriptor)
    assert ready


async def printed(path: Path, text: str) -> None:
    """Wait for a rank's words: a file cannot be awaited."""
    async with asyncio.timeout(LIMIT_S):
        while not path.exists() or text not in path.read_text():  # noqa: ASYNC110, ASYNC240 - as said
            await asyncio.sleep(0.01)


def is_stopped(pid: int) -> bool:
    """Tell whether a process is stopped, by a signal or with its control group."""
    process = Path("/proc", str(pid))
    if (process / "stat").read_text().rpartition(")")[2].split()[0] == "T":
        return True
    group = next(line[3:] for line in (process / "cgroup").read_text().splitlines() if line.startswith("0::"))
    for tree in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified"):
        events = Path(f"{tree}{group}/cgroup.events")
        if events.exists():
            return "frozen 1" in events.read_text()
    return False


async def until_stopped(pid: int, *, stopped: bool = True) -> None:
    async with asyncio.timeout(LIMIT_S):
        while is_stopped(pid) != stopped:  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(0.01)
