"""What every scheduler keeps to, whatever its policy."""

from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.model.placement import (
    FreeIndex,
    FreeNode,
    GangRequest,
    NoFit,
    Placement,
    PlacementRequest,
    PlacementView,
    broken_rule,
)
from dlroverd.plugin_api import Scheduler

_SLOTS = 8


@st.composite
def views(draw: st.DrawFn) -> PlacementView:
    """Draw fleets of up to 8 nodes of 8 slots, and jobs of up to 3 gangs."""
    free = draw(st.lists(st.integers(0, _SLOTS), max_size=8))
    gangs = []
    for number in range(draw(st.integers(1, 3))):
        unit = draw(st.integers(1, 2))
        fewest = draw(st.integers(1, 3)) * unit
        gangs.append(
            GangRequest(
                role=draw(st.sampled_from(["trainer", "evaluator"])),
                gang=number,
                nodes_min=fewest,
                nodes_max=fewest + draw(st.integers(0, 2)) * unit,
                node_unit=unit,
                slots_per_node=draw(st.integers(1, _SLOTS)),
            )
        )
    return PlacementView(
        request=PlacementRequest(job=draw(st.integers(1, 99)), name="conformance", gangs=tuple(gangs)),
        nodes=tuple(FreeNode(node=f"n{i}", slots=_SLOTS, free=slots) for i, slots in enumerate(free)),
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
        """All or nothing; no slot taken twice; only legal numbers of nodes; a reason for a refusal."""
        answer = self.make().place(view)
        assert isinstance(answer, Placement | NoFit), f"place() returned {answer!r}"
        if isinstance(answer, NoFit):
            assert answer.reason.strip(), "NoFit without a reason tells the user nothing"
        else:
            assert broken_rule(FreeIndex(view.nodes), view.request, answer) == ""

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
