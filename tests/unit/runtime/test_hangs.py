"""When a gang is suspected, when its stacks are asked for, and what is learnt from how it went on."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dlroverd.core.records import GangRecord, NodeRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Done
from dlroverd.model import input as inp
from dlroverd.model.hang import OFF, GangPhase, HangKind, HangVerdict, Phase, Suspicion
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, PhaseBudget, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts, NodeState
from dlroverd.model.world import Progress
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.hang_signs import HangSigns
from dlroverd.runtime.hangs import HangWatch
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.sessions import Sessions
from dlroverd.runtime.stacks import StackRequests
from dlroverd.runtime.telemetry import TelemetryStore
from tests.unit.core.desk import running_job

KEY = GangKey(1, "trainer", 0)
FACTS = NodeFacts(hostname="n1", address="n1", cpus=1, memory_bytes=1, slots=1)
FOUND = HangVerdict(hung=True, kind=HangKind.SPINNING, sentence="", confidence=0.95)


class World:
    """Job 1, which runs on n1; a test says when its steps are seen."""

    def __init__(self, beat_s: float = 1.0) -> None:
        self.state, self.inbox, self.now, self.beat_s = State("log"), Inbox(), 100.0, beat_s
        self.loop = asyncio.Runner()
        self.loop.run(self._begin())
        self.step = 0

    async def _begin(self) -> None:
        sessions = Sessions(self.state, self.inbox, 5.0)
        stacks = StackRequests(self.state, sessions, answer_s=0.01)
        self.watch = HangWatch(
            state=self.state,
            inbox=self.inbox,
            stacks=stacks,
            signs=HangSigns(self.state, TelemetryStore(2**20), Clock(100.0)),
            limits=Limits(),
            beat_s=self.beat_s,
            clock=lambda: self.now,
        )
        self.state.put(self.state.jobs, 1, running_job())
        node = NodeRecord(
            id="n1", state=NodeState.READY, reason="", since=0.0, deadline=0.0, boot_id="b", facts=FACTS, log_id="log"
        )
        self.state.put(self.state.nodes, "n1", node)
        gang = GangRecord(
            key=KEY, state=GangState.RUNNING, reason="", since=0.0, round=2, step=0, nodes=("n1",), world_size=1
        )
        self.state.put(self.state.gangs, KEY, gang)
        rank = RankRecord(key=KEY.at(2).rank(0), local_rank=0, node="n1", state=RankState.RUNNING)
        self.state.put_world(KEY, [], [rank])

    def change(self, **fields: object) -> None:
        """Have the gang be otherwise."""
        self.state.put(self.state.gangs, KEY, replace(self.state.gangs[KEY], **fields))  # type: ignore[arg-type] # fields of GangRecord

    def train(self, messages: int, seconds: float = 1.0, steps: int = 1) -> None:
        """Make steps, so many told in each message."""
        for _ in range(messages):
            self.now += seconds
            self.step += steps
            self.watch.stepped(Progress(round=KEY.at(2), step=self.step, at=self.now))

    def wait(self, seconds: float) -> list[inp.Input]:
        """Let time pass, and look."""
        self.now += seconds
        return self.loop.run(self._look())

    async def _look(self) -> list[inp.Input]:
        self.watch.look()
        await asyncio.sleep(0)
        return [entry.input for entry in await self.inbox.take(0.0)]

    def budget(self, phase: Phase) -> float:
        """Give how long it may make no step in a phase."""
        view = self.watch.view(KEY)
        assert view is not None
        return next(each.seconds for each in view.budgets if each.phase == phase)


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.loop.close()


def test_a_gang_that_makes_no_step_for_longer_than_its_budget_is_suspected(world: World) -> None:
    world.train(20)
    assert not world.wait(9.0)
    (stalled,) = world.wait(2.0)
    assert isinstance(stalled, inp.GangStalled)
    assert (stalled.round, stalled.step, stalled.phase) == (KEY.at(2), 20, "step")
    assert (stalled.quiet_s, stalled.budget_s) == (11.0, 10.0)


def test_slow_steps_are_given_their_time(world: World) -> None:
    world.train(20, seconds=10.0)
    assert world.budget(Phase.STEP) == 40.0
    assert not world.wait(39.0)
    assert world.wait(2.0)


@pytest.mark.parametrize(("seconds", "budget_s"), [(5.0, 15.0), (10.0, 15.0), (30.0, 80.0)])
def test_of_a_large_fleet_it_is_counted_off_how_late_steps_are_told(seconds: float, budget_s: float) -> None:
    large = World(beat_s=5.0)
    large.train(20, seconds=seconds, steps=25)
    assert large.budget(Phase.STEP) == budget_s
    large.loop.close()


def test_before_the_first_step_it_has_the_time_of_a_first_step(world: World) -> None:
    world.wait(0.0)
    assert not world.wait(1799.0)
    (stalled,) = world.wait(3.0)
    assert isinstance(stalled, inp.GangStalled)
    assert stalled.phase == "first_step"


def test_what_its_ranks_say_that_they_are_at_has_a_budget_of_its_own(world: World) -> None:
    world.train(20)
    world.watch.entered("n1", GangPhase(round=KEY.at(2), phase="checkpoint", since=1.0))
    assert not world.wait(1799.0)
    world.watch.entered("n1", GangPhase(round=KEY.at(2), phase="step", since=1.0))
    assert not world.wait(9.0)
    assert world.wait(2.0)


def test_a_job_file_says_it_otherwise(world: World) -> None:
    job = world.state.jobs[1]
    given = (PhaseBudget(phase="step", seconds=5.0),)
    world.state.put(world.state.jobs, 1, replace(job, spec=replace(job.spec, hang_budgets=given)))
    world.train(20)
    assert world.wait(6.0)
    world.state.put(world.state.jobs, 1, replace(job, spec=replace(job.spec, hang=OFF)))
    assert not world.wait(600.0)
    view = world.watch.view(KEY)
    assert view is not None
    assert view.off == "its job file turns it off"


@pytest.mark.parametrize("state", [NodeState.UNREACHABLE, NodeState.LOST])
def test_no_step_is_missed_while_a_node_is_silent(world: World, state: NodeState) -> None:
    world.train(20)
    known = world.state.nodes["n1"]
    world.state.put(world.state.nodes, "n1", replace(known, state=state))
    assert not world.wait(600.0)
    world.state.put(world.state.nodes, "n1", known)
    assert not world.wait(9.0)
    assert world.wait(2.0)


def test_a_new_round_begins_anew_and_the_old_one_says_nothing_more(world: World) -> None:
    world.train(20)
    world.change(round=3)
    assert not world.wait(600.0)
    world.watch.stepped(Progress(round=KEY.at(2), step=99, at=1.0))
    view = world.watch.view(KEY)
    assert view is not None
    assert view.phase == Phase.FIRST_STEP


def test_a_rank_that_counts_backwards_works(world: World) -> None:
    world.train(250)
    assert not world.wait(9.0)
    world.watch.stepped(Progress(round=KEY.at(2), step=250, at=1.0, moved_at=5.0))
    assert not world.wait(9.0)
    world.watch.stepped(Progress(round=KEY.at(2), step=3, at=1.0, moved_at=5.0))
    assert world.wait(2.0)


def test_the_stacks_of_a_suspect_are_asked_for_and_judged(world: World) -> None:
    world.train(20)
    world.wait(0.0)
    world.change(suspicion=Suspicion(since=world.state.m.now, step=20, phase="step", quiet_s=11.0, budget_s=10.0))

    async def judged() -> list[inp.Input]:
        world.watch.look()
        return [entry.input for entry in await world.inbox.take(20.0)]

    (found,) = world.loop.run(judged())
    assert isinstance(found, inp.HangFound)
    assert (found.verdict.hung, found.verdict.absent) == (False, (0,))
    assert found.verdict.sentence == "no rank could be looked at"


def test_of_ten_thousand_ranks_no_more_are_asked_at_once_than_the_daemon_can_take(world: World) -> None:
    known = world.state.nodes["n1"]
    for number in range(1, 1251):
        world.state.put(world.state.nodes, f"n{number}", replace(known, id=f"n{number}"))
    ranks = [
        RankRecord(key=KEY.at(2).rank(n), local_rank=n % 8, node=f"n{n // 8 + 1}", state=RankState.RUNNING)
        for n in range(10_000)
    ]
    world.change(nodes=tuple(f"n{number}" for number in range(1, 1251)), world_size=10_000)
    world.state.put_world(KEY, list(world.state.world(world.state.gangs[KEY])), ranks)
    world.train(20)
    world.wait(0.0)
    world.change(suspicion=Suspicion(since=0.0, step=20, phase="step", quiet_s=11.0, budget_s=10.0))

    async def judged() -> list[inp.Input]:
        world.watch.look()
        return [entry.input for entry in await world.inbox.take(20.0)]

    (found,) = world.loop.run(judged())
    assert isinstance(found, inp.HangFound)
    assert len(found.verdict.absent) == 512
    assert found.verdict.sentence == "no rank could be looked at (512 of 10000 ranks were looked at)"


def test_stacks_are_asked_for_once_the_suspicion_is_a_fact_and_not_before(world: World) -> None:
    world.train(20)
    world.now += 11.0

    async def judged() -> inp.Input:
        world.watch.look()
        (stalled,) = await world.inbox.take(0.0)
        assert not await world.inbox.take(0.1)
        world.change(suspicion=Suspicion(since=0.0, step=20, phase="step", quiet_s=11.0, budget_s=10.0))
        stalled.done(Done())
        (found,) = await world.inbox.take(20.0)
        return found.input

    assert isinstance(world.loop.run(judged()), inp.HangFound)


def test_a_suspect_that_goes_on_is_none_any_more(world: World) -> None:
    world.train(250)
    suspicion = Suspicion(since=world.state.m.now, step=250, phase="step", quiet_s=11.0, budget_s=10.0)
    world.change(suspicion=suspicion)
    world.now += 60.0
    world.train(1, seconds=0.0)
    (moved,) = world.wait(0.0)
    assert moved == inp.GangMovedOn(round=KEY.at(2), step=251)


def test_a_hang_is_not_learnt_from(world: World) -> None:
    world.train(10)
    suspicion = Suspicion(since=world.state.m.now, step=10, phase="step", quiet_s=11.0, budget_s=10.0, verdict=FOUND)
    world.change(suspicion=suspicion)
    world.now += 600.0
    world.train(1)
    assert world.budget(Phase.STEP) == 10.0


def test_how_long_a_phase_takes_is_learnt_from_its_beginning_to_its_end(world: World) -> None:
    world.train(20)
    for _ in range(2):
        world.watch.entered("n1", GangPhase(round=KEY.at(2), phase="evaluate", since=1.0))
        world.train(1)  # of before it, told late
        world.now += 99.0
        world.watch.entered("n1", GangPhase(round=KEY.at(2), phase="step", since=1.0))
        world.train(1)
    assert world.budget(Phase.EVALUATE) == 400.0
    assert world.budget(Phase.STEP) == 10.0


def test_what_the_stacks_of_a_suspect_show_has_its_own_time(world: World) -> None:
    world.train(20)
    known = world.watch._worlds[KEY]  # as its stacks would have it
    known.shown, known.dismissed = "checkpoint", True
    assert not world.wait(600.0)
    world.train(1)
    assert world.budget(Phase.STEP) == 10.0


def test_how_long_a_first_step_takes_is_learnt_over_rounds(world: World) -> None:
    for round_ in (3, 4):
        world.change(round=round_)
        world.wait(0.0)
        world.now += 50.0
        world.watch.stepped(Progress(round=KEY.at(round_), step=1, at=world.now))
    assert world.budget(Phase.FIRST_STEP) == 200.0
