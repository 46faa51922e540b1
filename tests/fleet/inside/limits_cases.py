"""Run on a kernel with all controllers of cgroup v2 by test_limits.py: what limits do to ranks."""

import asyncio
from dataclasses import replace
from pathlib import Path

from dlroverd_agent.monitors.child import Readings

from dlroverd.model.job import RankState, Resources
from tests.fleet.inside.launcher_cases import SystemdBench
from tests.system.launching import KEY, SLEEP, printed, python

OTHER = replace(KEY, rank=1)
EATS = "import time; print('ready'); eaten = bytearray(200 << 20); print('ate'); time.sleep(3600)"
FORKS = """
import os, time
try:
    while True:
        if os.fork() == 0: time.sleep(3600)
except BlockingIOError as error:
    print('refused')
"""


class TestLimits(SystemdBench):
    def test_a_rank_beyond_its_roles_memory_is_an_oom_kill(self, state_dir: Path) -> None:
        """The limit is one of all ranks of the role; who took the memory ends whole, the others go on."""
        resources = Resources(memory_bytes=100 << 20)

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(replace(python(SLEEP, key=OTHER), resources=resources))
                await printed(launcher.files(OTHER).output, "ready")
                await launcher.start(replace(python(EATS), resources=resources))
                end = await seen.end()
                assert (end.result, end.signal, end.requested, end.output_tail) == ("oom-kill", 9, False, "ready")
                assert seen.states(OTHER)[-1] is RankState.RUNNING

        asyncio.run(run())

    def test_a_child_that_the_kernel_kills_takes_its_rank_with_it(self, state_dir: Path) -> None:
        code = f"import os, time\nif os.fork() == 0:\n  {EATS}\nprint('parent'); time.sleep(3600)"

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(replace(python(code), resources=Resources(memory_bytes=100 << 20)))
                end = await seen.end()
                assert (end.result, end.signal) == ("oom-kill", 9)

        asyncio.run(run())

    def test_a_role_has_no_more_tasks_than_its_limit(self, state_dir: Path) -> None:
        gone, _, output = asyncio.run(
            self.run_to_end(state_dir, replace(python(FORKS), resources=Resources(tasks_max=20)))
        )
        assert gone.exit is not None
        assert (gone.exit.code, output) == (0, "refused\n")

    def test_a_ranks_memory_and_time_are_those_of_its_control_group(self, state_dir: Path) -> None:
        """Of its whole tree, so also of what it forked; the pages of files that it read are not its own."""
        code = "import os, time\nos.fork()\neaten = bytearray(40 << 20); print('ate'); time.sleep(3600)"

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(code))
                rank = await seen.until(RankState.RUNNING)
                await printed(launcher.files(KEY).output, "ate\nate\n")
                readings = Readings(str(state_dir))
                for _ in range(2):
                    _, ranks = readings.read({KEY.unit: rank.pid})
                assert 80 << 20 <= ranks[KEY.unit]["rank_memory_bytes"] < 120 << 20
                assert ranks[KEY.unit]["rank_cpu_ratio"] >= 0.0
                counted = readings._group(rank.pid)
                assert counted is not None
                assert counted[0] > 0.0

        asyncio.run(run())
