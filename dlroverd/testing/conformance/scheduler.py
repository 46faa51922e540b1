"""What every scheduler keeps to, whatever its policy."""

from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.model.free_index import FreeIndex
from dlroverd.model.placement import (
    FreeNode,
    GangPlacement,
    GangRequest,
    NoFit,
    Placement,
    PlacementRequest,
    PlacementView,
    Preempt,
    RunningJob,
)
from dlroverd.model.placement_check import broken_rule
from dlroverd.plugin_api import Scheduler

_SLOTS = 8
_MEMORY = 64 << 30
_ROLES = ("trainer", "evaluator")
_NAMES = tuple(f"n{i}" for i in range(8))
_some_nodes = st.lists(st.sampled_from(_NAMES), max_size=3, unique=True).map(tuple)
_some_roles = st.lists(st.sampled_from(_ROLES), max_size=1).map(tuple)


@st.composite
def gangs(draw: st.DrawFn, number: int) -> GangRequest:
    """Draw a gang; half of them have constraints and wishes."""
    unit = draw(st.integers(1, 2))
    fewest = draw(st.integers(1, 3)) * unit
    choosy = draw(st.booleans())
    return GangRequest(
        role=draw(st.sampled_from(_ROLES)),
        gang=number,
        nodes_min=fewest,
        nodes_max=fewest + draw(st.integers(0, 2)) * unit,
        node_unit=unit,
        slots_per_node=draw(st.integers(1, _SLOTS)),
        require=draw(st.sampled_from(((), ("gpu=h100",), ("!ssd", "device=*H100*")))) if choosy else (),
        nodelist=draw(_some_nodes) if choosy else (),
        exclude=draw(_some_nodes) if choosy else (),
        apart_from=draw(_some_roles) if choosy else (),
        together_with=draw(_some_roles) if choosy else (),
        spread=draw(st.sampled_from(("", "rack"))) if choosy else "",
        pack=draw(st.sampled_from(((), ("switch", "rack")))),
        near=draw(_some_nodes) if choosy else (),
        memory_bytes=draw(st.sampled_from((0, 0, _MEMORY))) if choosy else 0,
    )


@st.composite
def requests(draw: st.DrawFn, job: int) -> PlacementRequest:
    """Draw a job of up to 3 gangs, of which one may be seated already."""
    seated = GangPlacement(role=draw(st.sampled_from(_ROLES)), gang=9, nodes=draw(_some_nodes))
    return PlacementRequest(
        job=job,
        name="conformance",
        gangs=tuple(draw(gangs(number)) for number in range(draw(st.integers(1, 3)))),
        seated=(seated,) if draw(st.booleans()) else (),
    )


@st.composite
def views(draw: st.DrawFn) -> PlacementView:
    """Draw fleets of up to 8 nodes of 8 slots, a job to place, jobs behind it, and jobs that could make room."""
    nodes = []
    for at, free in enumerate(draw(st.lists(st.integers(0, _SLOTS), max_size=len(_NAMES)))):
        nodes.append(
            FreeNode(
                node=_NAMES[at],
                slots=_SLOTS,
                free=free,
                labels=draw(st.sampled_from(((), (("gpu", "h100"),), (("gpu", "h100"), ("ssd", ""))))),
                domains=(("rack", f"r{at // 4}"), ("switch", f"s{at // 2}")) if draw(st.booleans()) else (),
                model=draw(st.sampled_from(("", "NVIDIA H100"))),
                doubt=draw(st.sampled_from((0.0, 0.2))),
                memory_bytes=draw(st.sampled_from((_MEMORY, _MEMORY // 2))),
            )
        )
    numbers = draw(st.permutations(range(1, 10)))
    return PlacementView(
        request=draw(requests(numbers[0])),
        nodes=tuple(nodes),
        queue=tuple(draw(requests(number)) for number in numbers[1 : draw(st.integers(1, 3))]),
        running=tuple(
            RunningJob(
                job=number,
                priority=draw(st.integers(-1, 1)),
                since=draw(st.floats(0, 9)),
                slots=tuple((node.node, _SLOTS - node.free) for node in nodes if node.free < _SLOTS)[:2],
                leaving=draw(st.booleans()),
                protected=draw(st.booleans()),
            )
            for number in numbers[4 : 4 + draw(st.integers(0, 2))]
        ),
    )


# The suite is inherited by a class per scheduler, each of which runs these examples.
_each_class = settings(
    suppress_health_check=[HealthCheck.differing_executors], deadline=None, report_multiple_bugs=False
)


class SchedulerConformance:
    """Set `make` to your scheduler's class, or to anything that makes one when called."""

    make: ClassVar[type[Scheduler]]

    @_each_class
    @given(views())
    def test_an_answer_places_all_gangs_within_what_is_free_or_none(self, view: PlacementView) -> None:
        """All or nothing; no slot taken twice; what binds is kept; only those make room that may; else a reason."""
        answer = self.make().place(view)
        match answer:
            case NoFit():
                assert answer.reason.strip(), "NoFit without a reason tells the user nothing"
            case Preempt():
                allowed = {each.job for each in view.running if not (each.leaving or each.protected)}
                assert answer.jobs, "Preempt without jobs makes no room"
                assert allowed.issuperset(answer.jobs), f"place() has jobs stopped that may not be: {answer.jobs}"
            case Placement():
                asked = {each.job: each for each in (*view.queue, view.request)}
                request = asked.get(answer.job or view.request.job)
                assert request is not None, f"place() placed job {answer.job}, which does not wait"
                assert broken_rule(FreeIndex(view.nodes), request, answer) == ""
            case _:
                raise AssertionError(f"place() returned {answer!r}")

    @_each_class
    @given(st.lists(views(), min_size=1, max_size=4))
    def test_the_same_view_gets_the_same_answer(self, asked: list[PlacementView]) -> None:
        """An answer depends on the view alone: neither on earlier questions nor on the process."""
        worn = self.make()
        answers = [worn.place(view) for view in asked]
        assert [worn.place(view) for view in asked] == answers
        assert [self.make().place(view) for view in asked] == answers

    def test_an_empty_fleet_gets_a_reason(self) -> None:
        """Right after a daemon's first start there are jobs and no nodes."""
        gang = GangRequest(role="trainer", gang=0, nodes_min=1, nodes_max=1, node_unit=1, slots_per_node=1)
        request = PlacementRequest(job=1, name="conformance", gangs=(gang,))
        answer = self.make().place(PlacementView(request=request, nodes=()))
        assert isinstance(answer, NoFit)
        assert answer.reason.strip()
