"""An agent whose records were deleted under running ranks ends those ranks before it says hello, and no others."""

import asyncio
import os
import select
import shutil
import sys
from pathlib import Path

from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.process import ProcessLauncher

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation

LIMIT_S = 30
DELETED, KEPT = RankKey(1, "trainer", 0, 1, 0), RankKey(1, "trainer", 0, 1, 1)


def test_ranks_without_a_directory_are_ended_and_others_adopted(tmp_path: Path) -> None:
    asyncio.run(_forget_one(tmp_path))


async def _forget_one(tmp_path: Path) -> None:
    seen: asyncio.Queue[RankObservation] = asyncio.Queue()
    first = ProcessLauncher(tmp_path, seen.put_nowait)
    for key in (DELETED, KEPT):
        argv = (sys.executable, "-c", "import time; time.sleep(3600)")
        await first.start(LaunchOrder(key=key, argv=argv, cwd="/", env={}, uid=os.geteuid(), gid=os.getegid()))
    running = [await _until(seen, RankState.RUNNING) for _ in (DELETED, KEPT)]
    pids = {each.key: each.pid for each in running}
    deleted = os.pidfd_open(pids[DELETED])
    shutil.rmtree(first.files(DELETED).directory)
    await first.close()

    second = ProcessLauncher(tmp_path, seen.put_nowait)
    try:
        found = await second.recover()
        ended, _, _ = await asyncio.to_thread(select.select, [deleted], [], [], LIMIT_S)
        assert ended == [deleted]
        assert {each.key: each.pid for each in found} == {KEPT: pids[KEPT]}
        await second.stop(KEPT, 0.0, 0.0)
        assert (await _until(seen, RankState.GONE)).key == KEPT
    finally:
        os.close(deleted)
        await second.close()


async def _until(seen: "asyncio.Queue[RankObservation]", state: RankState) -> RankObservation:
    async with asyncio.timeout(LIMIT_S):
        while (observation := await seen.get()).state is not state:
            pass
        return observation
