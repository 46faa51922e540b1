"""Run within a host by test_launcher.py: spares in units of their own, which become those of their ranks."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from dlroverd_agent.launchers.interface import Launcher, LaunchOrder
from dlroverd_agent.launchers.parked import BrokenError, Parked
from dlroverd_agent.progress import COUNTER

from dlroverd.model.job import RankState, Resources
from tests.fleet.inside.launcher_cases import UNIT, SystemdBench, is_alive, ours, systemctl
from tests.system.launching import KEY, LIMIT_S, carriers, ended, printed

SHOWS = """
import os, sys, time, xml.dom.minidom
print(os.getpid(), os.sched_getscheduler(0), os.nice(0), open("/proc/self/oom_score_adj").read().strip(), os.getuid())
print("end", flush=True)
"""
NAMES = ("xml", "xml.dom", "xml.dom.minidom")


def said(launcher: Launcher) -> str:
    return launcher.files(KEY).output.read_text()


class TestSpares(SystemdBench):
    @pytest.fixture
    def script(self, tmp_path: Path) -> Path:
        tmp_path.chmod(0o755)
        for folder in tmp_path.parents[:2]:
            folder.chmod(0o755)
        return tmp_path / "shows.py"

    def order(self, launcher: Launcher, script: Path, then: str = "", uid: int = 0) -> LaunchOrder:
        script.write_text(SHOWS + then)
        env = {
            "PYTHONPATH": COUNTER,
            "DLROVERD_RANK_PATH": "imports",
            "DLROVERD_PROGRESS_FILE": str(launcher.files(KEY).progress),
            "MASTER_PORT": "1",
        }
        resources = Resources(oom_score_adjust=100)
        argv = (sys.executable, str(script))
        return LaunchOrder(key=KEY, argv=argv, cwd="/", env=env, uid=uid, gid=uid, resources=resources)

    async def park(self, launcher: Launcher, order: LaunchOrder) -> Parked:
        spare = await launcher.parking.park(order)
        await spare.do_imports("/", NAMES)
        return spare

    @pytest.mark.parametrize("uid", [0, 65534])
    def test_a_spare_becomes_the_rank_in_its_unit(self, state_dir: Path, script: Path, uid: int) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                order = self.order(launcher, script, "time.sleep(3600)", uid)
                spare = await self.park(launcher, order)
                assert os.sched_getscheduler(spare.pid) == os.SCHED_IDLE
                assert UNIT in await asyncio.to_thread(ours)
                assert await launcher.survey() == frozenset()
                await launcher.start(replace(order, spare=spare))
                running = await seen.until(RankState.RUNNING)
                assert running.pid == spare.pid
                assert await launcher.survey() == {KEY}
                await printed(launcher.files(KEY).output, "end")
                assert said(launcher) == f"{spare.pid} 0 0 100 {uid}\nend\n"
                assert spare.pid in carriers(launcher.files(KEY).directory)
                assert systemctl("show", "-P", "MainPID", UNIT).strip() == str(spare.pid)
                await launcher.stop(KEY, 0.0, 30.0)
                end = await seen.end()
                assert (end.signal, end.requested, end.launch_error) == (signal.SIGTERM, True, "")

        asyncio.run(run())

    def test_the_exit_code_of_one_is_told(self, state_dir: Path, script: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                order = self.order(launcher, script, "sys.exit(7)")
                spare = await self.park(launcher, order)
                await launcher.start(replace(order, spare=spare))
                end = await seen.end()
                assert (end.code, end.launch_error) == (7, "")
                assert seen.states() == [RankState.STARTING, RankState.RUNNING, RankState.EXITED, RankState.GONE]

        asyncio.run(run())

    @pytest.mark.parametrize("how", ["killed", "unparked"])
    def test_without_its_spare_a_rank_starts_cold(self, state_dir: Path, script: Path, how: str) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                order = self.order(launcher, script)
                spare = await self.park(launcher, order)
                if how == "killed":
                    os.kill(spare.pid, signal.SIGKILL)
                    await ended(spare.pid)
                    await launcher.start(replace(order, spare=spare))
                else:
                    await launcher.parking.unpark(KEY, spare)
                    assert UNIT not in await asyncio.to_thread(ours)
                    await launcher.start(order)
                end = await seen.end()
                assert (end.code, end.launch_error) == (0, "")
                pid = int(said(launcher).split()[0])
                assert pid == seen.told[-1].pid != spare.pid

        asyncio.run(run())

    def test_one_ends_with_its_agent(self, state_dir: Path, script: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, _):
                spare = await self.park(launcher, self.order(launcher, script))
                pid = spare.pid
                spare.close()  # as the kernel does for an agent that is killed
                await ended(pid)
            async with self.launched(state_dir) as (launcher, seen):
                assert seen.found == []
                await launcher.start(self.order(launcher, script))
                assert (await seen.end()).code == 0

        asyncio.run(run())

    def test_one_that_cannot_begin_is_broken(self, state_dir: Path, script: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, _):
                order = self.order(launcher, script)
                spare = await launcher.parking.park(replace(order, argv=("/bin/nothing",)))
                with pytest.raises(BrokenError, match="cannot be executed"):
                    await asyncio.wait_for(spare.do_imports("/", NAMES), LIMIT_S)
                await launcher.parking.unpark(KEY, spare)
                assert not is_alive(spare.pid)

        asyncio.run(run())
