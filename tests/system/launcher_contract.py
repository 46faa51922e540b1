"""What every launcher must do, tried with real ranks: a class of tests for the tests of each launcher to inherit."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import pytest
from dlroverd_agent.launchers.interface import Disturbance, Launcher, LauncherUnavailableError, LaunchOrder

from dlroverd.model.fault import PORT_TAKEN
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation
from tests.system.launching import (
    AWAITS_GO,
    FOR_EVER_S,
    HANGS,
    IGNORES_TERM,
    KEY,
    LIMIT_S,
    SLEEP,
    TREES,
    Seen,
    carriers,
    ended,
    forking,
    is_stopped,
    order,
    printed,
    python,
    until_stopped,
)

# 32 and 33: glibc's posix_spawn, which make uses, starts its child with them ignored, and no program can undo that
# through glibc (its sigaction refuses them). glibc installs its own handlers when it first needs the two.
C_LIBRARY_SIGNALS = 0b11 << 31

AGENT = """
import asyncio, json, sys
from pathlib import Path
from dlroverd.model.ids import RankKey
from dlroverd.model.job import Resources
from dlroverd_agent.launchers.interface import LaunchOrder
{make}

def tell(seen):
    print(seen.key.rank, seen.state.value, seen.pid, flush=True)

async def main():
    launcher = make(Path(sys.argv[1]), tell)
    await launcher.recover()
    for order in json.loads(sys.argv[2]):
        key, resources = RankKey(**order.pop("key")), Resources(**order.pop("resources"))
        await launcher.start(LaunchOrder(key=key, resources=resources, **order))
        if sys.argv[3:]:
            await launcher.stop(key, *map(float, sys.argv[3:]))
    await asyncio.Event().wait()

asyncio.run(main())
"""


class LauncherBench:
    """Runs one kind of launcher: `make_source` defines `make(state_dir, on_change)`, for this process and others."""

    make_source: ClassVar[str]

    def make(self, state_dir: Path, on_change: Seen) -> Launcher:
        """Make a launcher."""
        names: dict[str, Callable[[Path, Seen], Launcher]] = {}
        exec(self.make_source, names)  # noqa: S102 - it is the test's own
        return names["make"](state_dir, on_change)

    @pytest.fixture
    def state_dir(self, tmp_path: Path) -> Path:
        return tmp_path / ("long" * 30)  # longer than the address of a unix socket may be

    @asynccontextmanager
    async def launched(self, state_dir: Path) -> AsyncIterator[tuple[Launcher, Seen]]:
        """Run a launcher; at the end every rank it told of is killed."""
        seen = Seen()
        launcher = self.make(state_dir, seen)
        seen.found = await launcher.recover()
        try:
            yield launcher, seen
        finally:
            alive = [observation for observation in seen.found if observation.state is not RankState.GONE]
            for key in {observation.key for observation in seen.told + alive}:
                await launcher.stop(key, 0.0, 0.0)
                await seen.until(RankState.GONE, key)
                assert carriers(launcher.files(key).directory) == []
            await launcher.close()

    @asynccontextmanager
    async def other_agent(
        self, state_dir: Path, orders: list[LaunchOrder], *stop: float
    ) -> AsyncIterator[Callable[[str], "asyncio.Future[list[str]]"]]:
        """Run a launcher in a process of its own, in the test's terminal group; killed with its group at the end."""
        values = [asdict(order) for order in orders]
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-c",
                AGENT.format(make=self.make_source),
                str(state_dir),
                json.dumps(values),
                *map(str, stop),
            ),
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

    async def run_to_end(self, state_dir: Path, an_order: LaunchOrder) -> tuple[RankObservation, Seen, str]:
        async with self.launched(state_dir) as (launcher, seen):
            await launcher.start(an_order)
            gone = await seen.until(RankState.GONE, an_order.key)
            output = launcher.files(an_order.key).output
            return gone, seen, output.read_text() if output.exists() else ""


class LauncherContract(LauncherBench):
    @pytest.mark.parametrize("code", [0, 1, 3, 127, 203])
    def test_an_exit_code_is_the_ranks_own(self, state_dir: Path, code: int) -> None:
        gone, seen, _ = asyncio.run(self.run_to_end(state_dir, order("/bin/sh", "-c", f"exit {code}")))
        assert seen.states() == [RankState.STARTING, RankState.RUNNING, RankState.EXITED, RankState.GONE]
        assert gone.exit is not None
        assert (gone.exit.code, gone.exit.signal, gone.exit.launch_error) == (code, None, "")
        assert not gone.exit.requested
        assert gone.exit.exited_at >= gone.started_at > 0

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
    def test_a_signal_is_told_at_once(self, state_dir: Path, number: signal.Signals) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600"))
                os.kill((await seen.until(RankState.RUNNING)).pid, number)
                end = await seen.end()
                assert (end.code, end.signal, end.requested) == (None, number, False)

        asyncio.run(run())

    def test_a_rank_starts_clean(self, state_dir: Path) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        try:
            _, _, status = asyncio.run(self.run_to_end(state_dir, order("/bin/cat", "/proc/self/status")))
            show = "stat -c '%F %t' -L /proc/$$/fd/0; ls /proc/$$/fd; ps -o pid=,sid=,pgid= $$; pwd"
            key = RankKey(1, "trainer", 0, 1, 1)
            _, _, shown = asyncio.run(self.run_to_end(state_dir, order("/bin/sh", "-c", show, key=key, cwd="/usr")))
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

    def test_the_last_line_is_not_lost(self, state_dir: Path) -> None:
        code = "import os; os.write(1, b'first\\nlast without end'); os.kill(os.getpid(), 9)"
        gone, seen, output = asyncio.run(self.run_to_end(state_dir, python(code)))
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
            (replace(order("/bin/true"), name="dlroverd-nobody"), "it would run as somebody else: uid "),
        ],
    )
    def test_what_cannot_be_launched_says_why(self, state_dir: Path, an_order: LaunchOrder, words: str) -> None:
        gone, seen, output = asyncio.run(self.run_to_end(state_dir, an_order))
        assert gone.exit is not None
        assert words in gone.exit.launch_error
        assert (gone.exit.code, gone.exit.signal, output) == (None, None, "")
        assert RankState.RUNNING not in seen.states()

    def test_stop_is_term_then_kill(self, state_dir: Path) -> None:
        async def run() -> None:
            stubborn = RankKey(1, "trainer", 0, 1, 1)
            async with self.launched(state_dir) as (launcher, seen):
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
    def test_a_second_stop_can_only_shorten(self, state_dir: Path, first: tuple[float, float]) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(IGNORES_TERM))
                await printed(launcher.files(KEY).output, "ready")
                await launcher.stop(KEY, *first)
                await launcher.stop(KEY, 0.0, 0.1)
                await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
                assert (await seen.until(RankState.GONE)).exit is not None

        asyncio.run(run())

    def test_a_stop_in_the_middle_of_the_start_counts(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                start = asyncio.create_task(launcher.start(order("/bin/sleep", "3600")))
                await seen.until(RankState.STARTING)
                await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
                await launcher.stop(KEY, 0.0, 0.1)
                await start
                end = await seen.end()
                assert end.requested

        asyncio.run(run())

    @pytest.mark.parametrize("tree", TREES)
    @pytest.mark.parametrize("end", ["exit", "kill", "stop"])
    def test_nothing_of_a_tree_is_left(self, state_dir: Path, tree: str, end: str) -> None:
        """However the rank ends, and whatever it forked: after GONE there is no process of it."""
        code = forking(tree) + ("" if end == "exit" else "time.sleep(3600)")

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(code))
                running = await seen.until(RankState.RUNNING)
                await printed(launcher.files(KEY).output, "ready")
                if end == "kill":
                    os.kill(running.pid, signal.SIGKILL)
                elif end == "stop":
                    await launcher.stop(KEY, 0.0, 0.05)
                await seen.until(RankState.GONE)
                assert carriers(launcher.files(KEY).directory) == []

        asyncio.run(run())

    def test_a_killed_agent_is_followed_by_one_that_adopts(self, state_dir: Path, tmp_path: Path) -> None:
        go = tmp_path / "go"
        os.mkfifo(go)
        ends = RankKey(1, "trainer", 0, 1, 1)

        async def run() -> None:
            orders = [python(SLEEP), python(AWAITS_GO + "raise SystemExit(7)", key=ends, env={"GO": str(go)})]
            async with self.other_agent(state_dir, orders) as told:
                lasting_pid = int((await told("0 running"))[2])
                ending_pid = int((await told("1 running"))[2])
                with pytest.raises(LauncherUnavailableError, match="another agent runs ranks from"):
                    self.make(state_dir, Seen())
            await asyncio.to_thread(go.write_text, "now")
            await ended(ending_pid)
            async with self.launched(state_dir) as (_, seen):
                lasting, ending = await seen.until(RankState.RUNNING), await seen.until(RankState.GONE, ends)
                assert (lasting.pid, ending.pid) == (lasting_pid, ending_pid)
                assert ending.exit is not None
                assert (ending.exit.code, ending.exit.lost, ending.exit.requested) == (7, "", False)
                os.kill(lasting_pid, signal.SIGKILL)
                assert (await seen.end()).signal == signal.SIGKILL

        asyncio.run(run())

    def test_a_launcher_in_the_same_process_takes_over(self, state_dir: Path) -> None:
        async def run() -> None:
            first = self.make(state_dir, Seen())
            await first.recover()
            await first.start(order("/bin/sleep", "3600"))
            await first.close()
            async with self.launched(state_dir) as (launcher, seen):
                (found,) = seen.found
                assert found.state in (RankState.STARTING, RankState.RUNNING)
                await launcher.stop(KEY, 0.0, FOR_EVER_S)
                assert (await seen.end()).requested

        asyncio.run(run())

    def test_a_key_is_started_once(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600"))
                with pytest.raises(ValueError, match="only a rank that is gone can be forgotten"):
                    launcher.forget(KEY)
                await launcher.start(order("/bin/echo", "again"))
                await launcher.stop(KEY, 0.0, 0.0)
                await seen.until(RankState.GONE)
                launcher.forget(KEY)
                launcher.forget(KEY)
            async with self.launched(state_dir) as (launcher, seen):
                assert seen.found == []
                await launcher.start(order("/bin/echo", "again"))
                end = await seen.end()
                assert end.lost == "it was started before, and its record was deleted"
                output = launcher.files(KEY).output
                assert not output.exists() or output.read_text() == ""

        asyncio.run(run())

    def test_a_taken_port_is_seen_before_the_start(self, state_dir: Path) -> None:
        async def run() -> None:
            other = RankKey(1, "trainer", 0, 1, 1)
            with socket.create_server(("127.0.0.1", 0)) as server:
                env = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(server.getsockname()[1])}
                async with self.launched(state_dir) as (launcher, seen):
                    await launcher.start(order("/bin/echo", "ran", env=env | {"RANK": "0"}))
                    await launcher.start(order("/bin/echo", "ran", env=env | {"RANK": "1"}, key=other))
                    refused, ran = await seen.until(RankState.GONE), await seen.until(RankState.GONE, other)
                    assert refused.exit is not None
                    assert refused.exit.launch_error == PORT_TAKEN
                    assert not launcher.files(KEY).output.exists()
                    assert ran.exit is not None
                    assert ran.exit.code == 0

        asyncio.run(run())

    def test_a_rank_that_said_why_is_not_waited_for(self, state_dir: Path) -> None:
        """Both waits are longer than the test's limit: only the traceback, then TERM, can end it in time."""

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(HANGS))
                await seen.until(RankState.RUNNING)
                await launcher.stop(KEY, FOR_EVER_S, FOR_EVER_S)
                end = await seen.end()
                assert (end.signal, end.requested) == (signal.SIGTERM, True)
                assert end.error is not None
                assert (end.error.type, end.error.message) == ("ValueError", "why")

        asyncio.run(run())

    def test_a_survivor_is_heard_before_term(self, state_dir: Path, tmp_path: Path) -> None:
        """Its error comes after the stop was asked for, and its own end is not called requested."""
        go = tmp_path / "go"
        os.mkfifo(go)

        async def run() -> None:
            silent = RankKey(1, "trainer", 0, 1, 1)
            async with self.launched(state_dir) as (launcher, seen):
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
    def test_a_rank_of_another_user(self) -> None:
        script = (
            "id -u; id -G; echo {} > $TORCHELASTIC_ERROR_FILE && echo written; echo again >> /dev/stderr; cat $RECORD"
        )

        async def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o711)  # noqa: S103 - the rank is another user's
                async with self.launched(Path(folder) / "state") as (launcher, seen):
                    files = launcher.files(KEY)
                    env = {"TORCHELASTIC_ERROR_FILE": str(files.error), "RECORD": str(files.record)}
                    the_order = order("/bin/sh", "-c", script, env=env)
                    await launcher.start(replace(the_order, uid=65534, gid=65534))
                    await seen.until(RankState.GONE)
                    uid, groups, written, again, refused = files.output.read_text().splitlines()
                    assert (uid, groups, written, again) == ("65534", "65534", "written", "again")
                    assert "Permission denied" in refused

        asyncio.run(run())

    @pytest.mark.parametrize(("kind", "undone"), [("freeze", "thaw"), ("hang", "resume")])
    def test_a_rank_is_stopped_and_goes_on(self, state_dir: Path, kind: Disturbance, undone: Disturbance) -> None:
        """A frozen rank's child stops with it; that of one that hangs runs on."""

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python("import os, time; print(os.fork(), 'ready'); time.sleep(3600)"))
                main = (await seen.until(RankState.RUNNING)).pid
                output = launcher.files(KEY).output
                await printed(output, "0 ready")
                child = next(int(line.split()[0]) for line in output.read_text().splitlines() if line[0] != "0")
                await launcher.disturb(KEY, kind)
                await until_stopped(main)
                assert is_stopped(child) == (kind == "freeze")
                await launcher.disturb(KEY, undone)
                await until_stopped(main, stopped=False)
                await launcher.disturb(KEY, kind)
                await launcher.stop(KEY, 0.0, 0.1)
                # What is stopped by its control group still dies of TERM; what is by a signal does not.
                assert (await seen.end()).signal in (signal.SIGTERM, signal.SIGKILL)

        asyncio.run(run())

    def test_a_killed_rank_is_not_one_that_was_asked_to_end(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                with pytest.raises(ValueError, match="does not run here"):
                    await launcher.disturb(KEY, "kill")
                await launcher.start(order("/bin/sleep", "3600"))
                await seen.until(RankState.RUNNING)
                await launcher.disturb(KEY, "kill")
                end = await seen.end()
                assert (end.signal, end.requested) == (signal.SIGKILL, False)

        asyncio.run(run())
