"""The process launcher with real shims and ranks, killed in every order."""

import asyncio
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import Record
from dlroverd_agent.launchers.interface import LauncherUnavailableError, LaunchOrder
from dlroverd_agent.launchers.leftovers import MARKER
from dlroverd_agent.launchers.process import ProcessLauncher
from dlroverd_agent.launchers.spawn import connect

from dlroverd.model.fault import PORT_TAKEN, ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation

LIMIT_S = 30
# 32 and 33: glibc's posix_spawn, which make uses, starts its child with them ignored, and no program can undo that
# through glibc (its sigaction refuses them). glibc installs its own handlers when it first needs the two.
C_LIBRARY_SIGNALS = 0b11 << 31
FOR_EVER_S = 3600.0
KEY = RankKey(1, "trainer", 0, 1, 0)
SLEEP = "import time; print('ready'); time.sleep(3600)"
IGNORES_TERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEP
# Waits for the file named in $GO to be readable: the test's way of saying "now".
AWAITS_GO = "import os; print('ready'); open(os.environ['GO']).read(); "


class Seen:
    """What the launcher told, and waiting for more of it."""

    def __init__(self) -> None:
        self.told: list[RankObservation] = []
        self._news = asyncio.Event()

    def __call__(self, observation: RankObservation) -> None:
        self.told.append(observation)
        self._news.set()

    async def until(self, state: RankState, key: RankKey = KEY) -> RankObservation:
        async with asyncio.timeout(LIMIT_S):
            while True:
                for observation in self.told:
                    if observation.key == key and observation.state is state:
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


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / ("long" * 30)  # longer than the address of a unix socket may be


@asynccontextmanager
async def launched(state_dir: Path) -> AsyncIterator[tuple[ProcessLauncher, Seen]]:
    """Run a launcher; at the end every rank it told of is killed."""
    seen = Seen()
    launcher = ProcessLauncher(state_dir, seen)
    try:
        yield launcher, seen
    finally:
        for key in {observation.key for observation in seen.told}:
            await launcher.stop(key, 0.0, 0.0)
            await seen.until(RankState.GONE, key)
            assert carriers(launcher.files(key).directory) == []
        await launcher.close()


def order(*argv: str, key: RankKey = KEY, env: dict[str, str] | None = None, cwd: str = "/") -> LaunchOrder:
    env = {"PYTHONUNBUFFERED": "1"} | (env or {})
    return LaunchOrder(key=key, argv=argv, cwd=cwd, env=env, uid=os.geteuid(), gid=os.getegid())


def python(code: str, *, key: RankKey = KEY, env: dict[str, str] | None = None) -> LaunchOrder:
    return order(sys.executable, "-c", code, key=key, env=env)


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


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


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
        while not path.exists() or text not in path.read_text():  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.01)


async def run_to_end(state_dir: Path, an_order: LaunchOrder) -> tuple[RankObservation, Seen, str]:
    async with launched(state_dir) as (launcher, seen):
        await launcher.start(an_order)
        gone = await seen.until(RankState.GONE, an_order.key)
        output = launcher.files(an_order.key).output
        return gone, seen, output.read_text() if output.exists() else ""


@pytest.mark.parametrize("code", [0, 1, 3, 127, 203])
def test_an_exit_code_is_the_ranks_own(state_dir: Path, code: int) -> None:
    gone, seen, _ = asyncio.run(run_to_end(state_dir, order("/bin/sh", "-c", f"exit {code}")))
    assert seen.states() == [RankState.STARTING, RankState.RUNNING, RankState.EXITED, RankState.GONE]
    assert gone.exit is not None
    assert (gone.exit.code, gone.exit.signal, gone.exit.launch_error) == (code, None, "")
    assert not gone.exit.requested
    assert gone.exit.exited_at >= gone.started_at > 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_signal_is_told_at_once(state_dir: Path, number: signal.Signals) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(order("/bin/sleep", "3600"))
            os.kill((await seen.until(RankState.RUNNING)).pid, number)
            end = await seen.end()
            assert (end.code, end.signal, end.requested) == (None, number, False)

    asyncio.run(run())


def test_a_rank_starts_clean(state_dir: Path) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        _, _, status = asyncio.run(run_to_end(state_dir, order("/bin/cat", "/proc/self/status")))
        show = "stat -c '%F %t' -L /proc/$$/fd/0; ls /proc/$$/fd; ps -o pid=,sid=,pgid= $$; pwd"
        key = RankKey(1, "trainer", 0, 1, 1)
        _, _, shown = asyncio.run(run_to_end(state_dir, order("/bin/sh", "-c", show, key=key, cwd="/usr")))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    masks = [line.split()[1] for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn", "SigPnd"))]
    assert [int(mask, 16) & ~C_LIBRARY_SIGNALS for mask in masks] == [0, 0, 0]
    null, *descriptors, ids, cwd = shown.splitlines()
    assert null.startswith("character special file")
    assert descriptors == ["0", "1", "2"]
    assert len(set(ids.split())) == 1
    assert cwd == "/usr"


def test_the_last_line_is_not_lost(state_dir: Path) -> None:
    code = "import os; os.write(1, b'first\\nlast without end'); os.kill(os.getpid(), 9)"
    gone, seen, output = asyncio.run(run_to_end(state_dir, python(code)))
    assert output == "first\nlast without end"
    exited = next(told for told in seen.told if told.state is RankState.EXITED)
    for told in (exited, gone):
        assert told.exit is not None
        assert told.exit.output_tail == output


@pytest.mark.parametrize(
    ("an_order", "words"),
    [
        (order("/nowhere/python", "x.py"), "/nowhere/python cannot be executed: No such file"),
        (order("/etc/passwd"), "/etc/passwd cannot be executed: Permission denied"),
        (order("/bin/true", cwd="/nowhere"), "working directory /nowhere cannot be entered: No such file"),
    ],
)
def test_what_cannot_be_launched_says_why(state_dir: Path, an_order: LaunchOrder, words: str) -> None:
    gone, seen, output = asyncio.run(run_to_end(state_dir, an_order))
    assert gone.exit is not None
    assert words in gone.exit.launch_error
    assert (gone.exit.code, gone.exit.signal, output) == (None, None, "")
    assert RankState.RUNNING not in seen.states()


def test_stop_is_term_then_kill(state_dir: Path) -> None:
    async def run() -> None:
        stubborn = RankKey(1, "trainer", 0, 1, 1)
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(python(SLEEP))
            await launcher.start(python(IGNORES_TERM, key=stubborn))
            await printed(launcher.files(KEY).output, "ready")
            await printed(launcher.files(stubborn).output, "ready")
            await launcher.stop(KEY, 0.0, FOR_EVER_S)
            await launcher.stop(stubborn, 0.0, 0.1)
            for key, number in ((KEY, signal.SIGTERM), (stubborn, signal.SIGKILL)):
                end = await seen.end(key)
                assert (end.signal, end.requested) == (number, True)

    asyncio.run(run())


@pytest.mark.parametrize("first", [(FOR_EVER_S, FOR_EVER_S), (0.0, FOR_EVER_S)])
def test_a_second_stop_can_only_shorten(state_dir: Path, first: tuple[float, float]) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(python(IGNORES_TERM))
            await printed(launcher.files(KEY).output, "ready")
            await launcher.stop(KEY, *first)
            await launcher.stop(KEY, 0.0, 0.1)
            await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
            assert (await seen.until(RankState.GONE)).exit is not None

    asyncio.run(run())


def test_a_stop_in_the_middle_of_the_start_counts(state_dir: Path) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            start = asyncio.create_task(launcher.start(order("/bin/sleep", "3600")))
            await seen.until(RankState.STARTING)
            await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
            await launcher.stop(KEY, 0.0, 0.1)
            await start
            end = await seen.end()
            assert end.requested

    asyncio.run(run())


CHILD = "signal.signal(signal.SIGTERM, signal.SIG_IGN); os.write(w, b'.'); time.sleep(3600)"
TREES = {
    "fork": f"if os.fork() == 0: {CHILD}",
    "children of children": f"if os.fork() == 0: os.fork(); os.fork(); {CHILD}",
    "double fork": f"if os.fork() == 0:\n  if os.fork() == 0: {CHILD}\n  os._exit(0)",
    "setsid": f"if os.fork() == 0: os.setsid(); {CHILD}",
    "daemon": f"if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: {CHILD}\n  os._exit(0)",
}


def forking(tree: str) -> str:
    return f"import os, signal, time\nr, w = os.pipe()\n{TREES[tree]}\nos.read(r, 1)\nprint('ready')\n"


@pytest.mark.parametrize("tree", TREES)
@pytest.mark.parametrize("end", ["exit", "kill", "stop", "shim"])
def test_nothing_of_a_tree_is_left(state_dir: Path, tree: str, end: str) -> None:
    """However the rank ends, and whatever it forked: after GONE there is no process of it."""
    code = forking(tree) + ("" if end == "exit" else "time.sleep(3600)")

    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(python(code))
            running = await seen.until(RankState.RUNNING)
            await printed(launcher.files(KEY).output, "ready")
            if end == "kill":
                os.kill(running.pid, signal.SIGKILL)
            elif end == "stop":
                await launcher.stop(KEY, 0.0, 0.05)
            elif end == "shim":
                os.kill(parent_of(running.pid), signal.SIGKILL)
            gone = await seen.until(RankState.GONE)
            assert carriers(launcher.files(KEY).directory) == []
            assert gone.exit is not None
            if end == "shim":
                assert gone.exit.lost == "its shim was killed, and the rank with it"
                assert (gone.exit.code, gone.exit.signal) == (None, None)

    asyncio.run(run())


def test_signals_do_not_end_a_shim(state_dir: Path) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(order("/bin/sleep", "3600"))
            running = await seen.until(RankState.RUNNING)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                os.kill(parent_of(running.pid), number)
            await launcher.stop(KEY, 0.0, FOR_EVER_S)
            end = await seen.end()
            assert (end.signal, end.lost) == (signal.SIGTERM, "")

    asyncio.run(run())


AGENT = """
import asyncio, json, sys
from pathlib import Path
from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.process import ProcessLauncher

def tell(seen):
    print(seen.key.rank, seen.state.value, seen.pid, flush=True)

async def main():
    launcher = ProcessLauncher(Path(sys.argv[1]), tell)
    for order in json.loads(sys.argv[2]):
        key = RankKey(**order.pop("key"))
        await launcher.start(LaunchOrder(key=key, **order))
        if sys.argv[3:]:
            await launcher.stop(key, *map(float, sys.argv[3:]))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def other_agent(
    state_dir: Path, orders: list[LaunchOrder], *stop: float
) -> AsyncIterator[Callable[[str], "asyncio.Future[list[str]]"]]:
    """Run a launcher in a process of its own, in the test's terminal group; killed with its group at the end."""
    values = [asdict(order) for order in orders]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", AGENT, str(state_dir), json.dumps(values), *map(str, stop)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        process_group=0,
    )
    assert process.stdout is not None
    told = process.stdout

    async def line(beginning: str) -> list[str]:
        async with asyncio.timeout(LIMIT_S):
            async for text in told:
                if text.decode().startswith(beginning):
                    return text.decode().split()
        raise AssertionError(f"the agent ended before it told {beginning!r}")

    try:
        yield lambda beginning: asyncio.ensure_future(line(beginning))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def test_a_killed_agent_is_followed_by_one_that_adopts(state_dir: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    ends = RankKey(1, "trainer", 0, 1, 1)

    async def run() -> None:
        orders = [python(SLEEP), python(AWAITS_GO + "raise SystemExit(7)", key=ends, env={"GO": str(go)})]
        async with other_agent(state_dir, orders) as told:
            lasting_pid = int((await told("0 running"))[2])
            ending_pid = int((await told("1 running"))[2])
            with pytest.raises(LauncherUnavailableError, match="another agent runs ranks from"):
                ProcessLauncher(state_dir, Seen())
        shim_pid = parent_of(ending_pid)
        await asyncio.to_thread(go.write_text, "now")
        await ended(shim_pid)
        async with launched(state_dir) as (launcher, seen):
            lasting, ending = sorted(await launcher.recover(), key=lambda found: found.key)
            assert (lasting.state, lasting.pid) == (RankState.RUNNING, lasting_pid)
            assert (ending.state, ending.pid) == (RankState.GONE, ending_pid)
            assert ending.exit is not None
            assert ending.exit.code == 7
            os.kill(lasting_pid, signal.SIGKILL)
            assert (await seen.end()).signal == signal.SIGKILL

    asyncio.run(run())


def test_a_stop_goes_on_without_the_agent(state_dir: Path) -> None:
    async def run() -> None:
        async with other_agent(state_dir, [python(IGNORES_TERM)], 0.3, 0.3) as told:
            shim_pid = parent_of(int((await told("0 running"))[2]))
        await ended(shim_pid)
        async with launched(state_dir) as (launcher, _):
            (found,) = await launcher.recover()
            assert found.state is RankState.GONE
            assert found.exit is not None
            assert found.exit.requested

    asyncio.run(run())


def test_a_launcher_in_the_same_process_takes_over(state_dir: Path) -> None:
    async def run() -> None:
        first = ProcessLauncher(state_dir, Seen())
        await first.start(order("/bin/sleep", "3600"))
        await first.close()
        async with launched(state_dir) as (launcher, seen):
            (found,) = await launcher.recover()
            assert found.state in (RankState.STARTING, RankState.RUNNING)
            await launcher.stop(KEY, 0.0, FOR_EVER_S)
            assert (await seen.end()).requested

    asyncio.run(run())


def test_a_shim_killed_while_the_agent_was_away(state_dir: Path) -> None:
    async def run() -> None:
        async with other_agent(state_dir, [python(forking("daemon") + "time.sleep(3600)")]) as told:
            pid = int((await told("0 running"))[2])
        await printed(state_dir / "ranks" / KEY.unit / "output.log", "ready")
        shim_pid = parent_of(pid)
        os.kill(shim_pid, signal.SIGKILL)
        await ended(shim_pid)
        async with launched(state_dir) as (launcher, seen):
            (found,) = await launcher.recover()
            assert found.state is RankState.GONE
            assert found.exit is not None
            assert "shim was killed" in found.exit.lost
            assert carriers(launcher.files(KEY).directory) == []
            assert seen.states()[-1] is RankState.GONE

    asyncio.run(run())


def test_a_key_is_started_once(state_dir: Path) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(order("/bin/sleep", "3600"))
            with pytest.raises(ValueError, match="only a rank that is gone can be forgotten"):
                launcher.forget(KEY)
            await launcher.start(order("/bin/echo", "again"))
            await launcher.stop(KEY, 0.0, 0.0)
            await seen.until(RankState.GONE)
            launcher.forget(KEY)
            launcher.forget(KEY)
            assert await launcher.recover() == []
            seen.told.clear()
            await launcher.start(order("/bin/echo", "again"))
            end = await seen.end()
            assert end.lost == "it was started before, and its record was deleted"
            assert launcher.files(KEY).output.read_text() == ""

    asyncio.run(run())


def test_a_taken_port_is_seen_before_the_start(state_dir: Path) -> None:
    async def run() -> None:
        other = RankKey(1, "trainer", 0, 1, 1)
        with socket.create_server(("127.0.0.1", 0)) as server:
            env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.getsockname()[1])}
            async with launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/echo", "ran", env=env | {"RANK": "0"}))
                await launcher.start(order("/bin/echo", "ran", env=env | {"RANK": "1"}, key=other))
                refused, ran = await seen.until(RankState.GONE), await seen.until(RankState.GONE, other)
                assert refused.exit is not None
                assert refused.exit.launch_error == PORT_TAKEN
                assert not launcher.files(KEY).output.exists()
                assert ran.exit is not None
                assert ran.exit.code == 0

    asyncio.run(run())


def test_the_environment_is_not_kept(state_dir: Path) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(order("/bin/sleep", "3600", env={"TOKEN": "s3cret"}))
            running = await seen.until(RankState.RUNNING)
            files = launcher.files(KEY)
            assert files.directory.stat().st_mode & 0o777 == 0o700
            contents = [path.read_bytes() for path in files.directory.iterdir() if path.is_file()]
            assert contents
            assert not any(b"s3cret" in content for content in contents)
            assert b"s3cret" not in command_of(parent_of(running.pid))

    asyncio.run(run())


HANGS = (
    "import time, traceback\ntry: raise ValueError('why')\nexcept ValueError: traceback.print_exc()\ntime.sleep(3600)"
)


def test_a_rank_that_said_why_is_not_waited_for(state_dir: Path) -> None:
    """Both waits are longer than the test's limit: only the traceback, then TERM, can end it in time."""

    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(python(HANGS))
            await seen.until(RankState.RUNNING)
            await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
            end = await seen.end()
            assert (end.signal, end.requested) == (signal.SIGTERM, True)
            assert end.error is not None
            assert (end.error.type, end.error.message) == ("ValueError", "why")

    asyncio.run(run())


def test_a_survivor_is_heard_before_term(state_dir: Path, tmp_path: Path) -> None:
    """Its error comes after the stop was asked for, and its own end is not called requested."""
    go = tmp_path / "go"
    os.mkfifo(go)

    async def run() -> None:
        silent = RankKey(1, "trainer", 0, 1, 1)
        async with launched(state_dir) as (launcher, seen):
            code = AWAITS_GO + "raise RuntimeError('Connection closed by peer')"
            await launcher.start(python(code, env={"GO": str(go)}))
            await launcher.start(python(SLEEP, key=silent))
            await printed(launcher.files(KEY).output, "ready")
            await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
            await launcher.stop(silent, 0.1, FOR_EVER_S)
            quiet = await seen.until(RankState.GONE, silent)
            await asyncio.to_thread(go.write_text, "now")
            heard = await seen.until(RankState.GONE)
            assert quiet.exit is not None
            assert (quiet.exit.signal, quiet.exit.requested, quiet.exit.error) == (signal.SIGTERM, True, None)
            assert heard.exit is not None
            assert heard.exit.error is not None
            assert heard.exit.error.message == "Connection closed by peer"

    asyncio.run(run())


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run a rank as another user")
def test_a_rank_of_another_user() -> None:
    script = "id -u; id -G; echo {} > $TORCHELASTIC_ERROR_FILE && echo written; echo again >> /dev/stderr; cat $RECORD"

    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o711)  # noqa: S103
            async with launched(Path(folder) / "state") as (launcher, seen):
                files = launcher.files(KEY)
                env = {"TORCHELASTIC_ERROR_FILE": str(files.error), "RECORD": str(files.record)}
                the_order = order("/bin/sh", "-c", script, env=env)
                await launcher.start(replace(the_order, uid=65534, gid=65534))
                await seen.until(RankState.GONE)
                uid, groups, written, again, refused = files.output.read_text().splitlines()
                assert (uid, groups, written, again) == ("65534", "65534", "written", "again")
                assert "Permission denied" in refused

    asyncio.run(run())


def test_a_record_that_cannot_be_written_is_kept_by_the_shim(state_dir: Path) -> None:
    async def run() -> None:
        async with other_agent(state_dir, [order("/bin/sleep", "3600")]) as told:
            pid = int((await told("0 running"))[2])
            shim_pid = parent_of(pid)
            obstacle = state_dir / "ranks" / KEY.unit / "record.json.new"
            obstacle.mkdir()
            os.kill(pid, signal.SIGKILL)
            await told("0 gone")
        async with launched(state_dir) as (launcher, seen):
            await launcher.recover()
            end = await seen.end()
            assert (end.signal, seen.told[-1].pid) == (signal.SIGKILL, pid)
            assert Record.parse(launcher.files(KEY).record.read_bytes()).state is RankState.RUNNING
            obstacle.rmdir()
            await ended(shim_pid)
            assert Record.parse(launcher.files(KEY).record.read_bytes()).signal == signal.SIGKILL

    asyncio.run(run())


@pytest.mark.parametrize(
    "words", [b"\xff\n", b"{}\n", b"[1]\n", b'{"stop": {"evidence_s": "x", "grace_s": 0}}\n', b"7" * 9999]
)
def test_nonsense_on_the_control_socket_is_hung_up_on(state_dir: Path, words: bytes) -> None:
    async def run() -> None:
        async with launched(state_dir) as (launcher, seen):
            await launcher.start(order("/bin/sleep", "3600"))
            await seen.until(RankState.RUNNING)
            with connect(launcher.files(KEY)) as control:
                control.sendall(words)
                control.shutdown(socket.SHUT_WR)
                received = await asyncio.to_thread(lambda: list(iter(lambda: control.recv(4096), b"")))
            assert Record.parse(b"".join(received)).state is RankState.RUNNING
            assert seen.states()[-1] is RankState.RUNNING

    asyncio.run(run())
