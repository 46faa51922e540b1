"""What the core hears of how far worlds are: what something follows from, and that not more often than it helps."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.model.cadence import Cadence
from dlroverd.model.ids import GangKey
from dlroverd.model.input import GangPaced
from dlroverd.model.job import GangState, JobState
from dlroverd.model.plan import Plan, PlanKind
from dlroverd.model.world import Progress
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.steps import Steps
from tests.unit.core.desk import running_job

KEY = GangKey(1, "trainer", 0)
STOP = Plan(kind=PlanKind.SUSPEND, reason="", asked_at=0.0, by=9.0, grace_s=1.0, to=JobState.SUSPENDED)


class World:
    """Job 1, which trains and asks whether to save; its steps are seen at times that a test chooses."""

    def __init__(self) -> None:
        self.state, self.inbox, self.now = State("log"), Inbox(), 5.0
        self.steps = Steps(self.state, self.inbox, lambda: self.now)
        self.loop = asyncio.Runner()
        self.state.put(self.state.jobs, 1, running_job())
        gang = GangRecord(key=KEY, state=GangState.RUNNING, reason="", since=0.0, round=2, step=0, nodes=("n1", "n2"))
        self.state.put(self.state.gangs, KEY, gang)

    def change(self, **fields: object) -> None:
        """Have the core know something else of the gang."""
        self.state.put(self.state.gangs, KEY, replace(self.state.gangs[KEY], **fields))  # type: ignore[arg-type] # fields of GangRecord

    def plan(self) -> None:
        """Have the job's stop planned."""
        self.state.put(self.state.jobs, 1, replace(self.state.jobs[1], plan=STOP))
        self.steps.planned(1)

    def see(self, step: int, at: float, *, asks: bool = True, node: str = "n2") -> list[tuple[int, float]]:
        """See a step; give what the core hears of it."""
        self.now = at
        self.steps.take(node, Progress(round=KEY.at(2), step=step, at=at, asks=asks))
        return self.heard()

    def heard(self) -> list[tuple[int, float]]:
        entries = self.loop.run(self.inbox.take(0.0))
        return [
            (entry.input.progress.step, round(entry.input.steps_per_s, 3))
            for entry in entries
            if isinstance(entry.input, GangPaced)
        ]


@pytest.fixture
def world() -> Iterator[World]:
    one = World()
    with one.loop:
        yield one


def test_of_a_world_whose_ranks_do_not_ask_nothing_is_heard(world: World) -> None:
    assert [world.see(step, 5.0 + step, asks=False) for step in range(100)] == [[]] * 100
    assert world.steps.of(KEY) == 99


def test_a_pace_is_heard_until_a_cadence_is_set_and_then_once_a_minute(world: World) -> None:
    assert world.see(8, 9.0) == [], "the ranks of one node do not ask"
    assert world.see(7, 9.5, node="n1") == [(8, 0.0)]
    world.change(asks=True)
    assert world.see(14, 10.0) == []
    assert world.see(28, 11.0, asks=False) == [(28, 10.0)]
    world.change(cadence=Cadence(interval_s=60.0, every=600, since=70))
    heard = [each for second in range(12, 200) for each in world.see(10 * second, float(second), asks=False)]
    assert len(heard) == 3
    assert heard[-1][1] == pytest.approx(10, rel=0.1)


def test_a_pace_is_that_of_the_last_minutes(world: World) -> None:
    for second in range(600):
        world.see(10 * second, 10.0 + second)
    for second in range(600, 800):
        world.see(6000 + (second - 600), 10.0 + second)
    world.change(asks=True)
    assert world.see(6300, 811.0)[0][1] < 3.0


def test_a_stop_that_is_planned_is_heard_of_at_once_and_again_each_second(world: World) -> None:
    world.see(10, 10.0)
    world.change(asks=True, cadence=Cadence(interval_s=60.0, every=600, since=70))
    world.see(30, 12.0)
    world.plan()
    assert world.heard() == [(30, 10.0)]
    assert [world.see(32 + n, 12.2 + n / 5) for n in range(8)].count([]) == 7
    world.change(ask=60)
    world.plan()
    assert world.heard() == [], "it is told already"


def test_what_is_of_another_world_counts_for_nothing(world: World) -> None:
    world.see(10, 10.0)
    world.change(round=3)
    assert world.see(500, 12.0) == []
    assert world.steps.of(KEY) == 0
    world.steps.forget(1)
    assert world.steps.of(KEY) == 0
