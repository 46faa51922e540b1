"""What a lease does to a rank, tried with real ranks: a class of tests for the tests of each launcher to inherit."""

import asyncio
import os
import signal
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from dlroverd_agent.launchers import lease

from dlroverd.model.job import RankState
from tests.system.launcher_contract import LauncherBench
from tests.system.launching import (
    IGNORES_TERM,
    KEY,
    SLEEP,
    carriers,
    ended,
    forking,
    order,
    parent_of,
    printed,
    python,
    until_stopped,
)

# Longer than a rank needs to be started on a busy machine, and to be frozen then.
SHORT_S = 3.0


def in_folder(folder: Path) -> list[int]:
    """All processes that have a folder as their own: a rank's keeper, found independently of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder:
                found.append(int(process.name))
        except OSError:
            continue
    return found


class LeaseContract(LauncherBench):
    def test_it_runs_out_for_a_rank_whose_agent_is_dead(self, state_dir: Path) -> None:
        """With the rank ends what it has forked, deaf to TERM or not."""

        async def run() -> None:
            until = lease.clock() + SHORT_S
            an_order = python(IGNORES_TERM.replace("print", "import os; os.fork(); print"))
            async with self.other_agent(state_dir, [replace(an_order, lease_until=until)]) as told:
                pid = int((await told("0 running"))[2])
            await ended(pid)
            assert lease.clock() >= until
            async with self.launched(state_dir) as (launcher, seen):
                end = await seen.end()
                assert (end.signal, end.requested) == (signal.SIGKILL, False)
                assert carriers(launcher.files(KEY).directory) == []

        asyncio.run(run())

    def test_it_runs_out_for_a_rank_that_is_frozen(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(replace(python(forking("fork") + SLEEP), lease_until=lease.clock() + SHORT_S))
                running = await seen.until(RankState.RUNNING)
                await launcher.disturb(KEY, "freeze")
                await until_stopped(running.pid)
                end = await seen.end()
                assert (end.signal, end.requested) == (signal.SIGKILL, False)

        asyncio.run(run())

    def test_once_renewed_it_goes_on(self, state_dir: Path) -> None:
        async def run() -> None:
            until = lease.clock() + SHORT_S
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(replace(python(SLEEP), lease_until=until))
                running = await seen.until(RankState.RUNNING)
                directory = os.fspath(launcher.files(KEY).directory)
                lease.renew(directory, until + 3600.0)
                lease.renew(directory, until - 1.0)  # late: it shortens nothing
                while lease.clock() < until + 0.5:  # noqa: ASYNC110 - time itself is waited for
                    await asyncio.sleep(0.1)
                os.kill(running.pid, 0)
                assert seen.states()[-1] is RankState.RUNNING
                await launcher.stop(KEY, 0.0, 30.0)
                assert (await seen.end()).signal == signal.SIGTERM
                with pytest.raises(OSError, match=r"refused|No such"):
                    lease.renew(directory, until + 7200.0)

        asyncio.run(run())

    @pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run a rank as another user")
    def test_its_keeper_is_out_of_the_ranks_reach_and_ends_with_it(self) -> None:
        async def run() -> None:
            with tempfile.TemporaryDirectory() as folder:
                os.chmod(folder, 0o711)  # noqa: S103 - the rank is another user's
                async with self.launched(Path(folder) / "state") as (launcher, seen):
                    directory = launcher.files(KEY).directory
                    script = (
                        "[ -w $KEEPER ] || echo refused; read c < /proc/$$/task/$$/children; echo children: $c; "
                        "exec sleep 3600"
                    )
                    an_order = order("/bin/sh", "-c", script, env={"KEEPER": str(launcher.files(KEY).lease)})
                    await launcher.start(replace(an_order, uid=65534, gid=65534, lease_until=lease.clock() + 3600.0))
                    rank = await seen.until(RankState.RUNNING)
                    await printed(launcher.files(KEY).output, "children:")
                    (keeper,) = set(in_folder(directory)) - {parent_of(rank.pid)}  # which may be a shim
                    assert os.stat(f"/proc/{keeper}").st_uid == 0
                    await launcher.stop(KEY, 0.0, 30.0)
                    await seen.until(RankState.GONE)
                    await ended(keeper)
                    assert launcher.files(KEY).output.read_text().splitlines() == ["refused", "children:"]

        asyncio.run(run())

    def test_one_that_has_run_out_starts_nothing(self, state_dir: Path) -> None:
        an_order = replace(order("/bin/echo", "ran"), lease_until=lease.clock())
        gone, _, output = asyncio.run(self.run_to_end(state_dir, an_order))
        assert output == ""
        assert gone.exit is not None
        assert "its lease cannot be kept: it has run out" in gone.exit.launch_error
