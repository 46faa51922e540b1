"""However jobs come, crash and end: who makes room has lower priority, and is not asked again too soon."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.core import invariants
from dlroverd.core.handle import Decision
from dlroverd.model import input as inp
from dlroverd.model.event import JobMoved, RoomAsked
from dlroverd.model.fault import ExitInfo
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.plan import PlanKind
from tests.unit.core.desk import Desk, spec

PAUSE_S = 100.0
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(0, 3), st.just(1)),
        st.tuples(st.just("crash"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("submit"), st.integers(0, 3), st.integers(1, 2)),
    ),
    max_size=30,
)


class Watched(Desk):
    """A desk that notes who was asked to make room, for whom and when."""

    def __init__(self) -> None:
        super().__init__(Limits(preempt_cooldown_s=PAUSE_S))
        self.left: dict[int, list[float]] = {}
        self.helped: dict[int, list[float]] = {}

    def turn(self, *items: inp.Input) -> Decision:
        """Hand in inputs, and look at what comes of them."""
        decision = super().turn(*items)
        for event in decision.events:
            if isinstance(event, JobMoved) and event.on == "planned_stop":
                self.left.setdefault(event.job, []).append(decision.now)
            if isinstance(event, RoomAsked) and event.victims:
                self.helped.setdefault(event.job, []).append(decision.now)
                mine = self.state.jobs[event.job].spec.priority
                assert all(self.state.jobs[victim].spec.priority < mine for victim in event.victims)
        return decision

    def live(self, number: int, *states: JobState) -> int | None:
        """Pick a job in one of these states."""
        jobs = [job for job, record in self.state.jobs.items() if record.state in states]
        return jobs[number % len(jobs)] if jobs else None

    def clear(self) -> None:
        """Have all that is to stop be gone, and all that starts run."""
        for _ in range(20):
            self.settle()
            for job, record in list(self.state.jobs.items()):
                if record.state in (JobState.RESTARTING, JobState.STOPPING):
                    if any(gang.state is GangState.STOPPING for gang in self.state.gangs_of(job)):
                        self.report(job, RankState.GONE, ExitInfo(exited_at=self.now, signal=15, requested=True))
                elif record.state is JobState.STARTING:
                    self.run(job)


@settings(max_examples=300, deadline=None)
@given(STEPS)
def test_room_is_made_by_lower_ones_and_not_too_often(steps: list[tuple[str, int, int]]) -> None:
    desk = Watched()
    for number in range(2):
        desk.node(f"n{number}")
    for kind, number, nodes in steps:
        if kind == "submit":
            desk.submit(spec(priority=number, nodes_min=nodes, nodes_max=nodes))
        elif kind == "wait":
            desk.now += number
            desk.turn()
        elif (job := desk.live(number, JobState.RUNNING)) is not None:
            code = 0 if kind == "end" else 7
            desk.report(job, RankState.GONE, ExitInfo(exited_at=desk.now, code=code))
        desk.clear()
        assert not invariants.check(desk.state, desk.limits)
    for times in (*desk.left.values(), *desk.helped.values()):
        assert all(later - sooner >= PAUSE_S for sooner, later in itertools.pairwise(times))
    for record in desk.state.jobs.values():
        assert record.plan is None or record.plan.kind is PlanKind.PREEMPT
