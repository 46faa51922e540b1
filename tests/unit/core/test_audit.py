"""Differences become events, each once, and what the agent lost counts as ended."""

from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.difference import KEPT, Difference, DifferenceKind
from dlroverd.model.job import JobState
from dlroverd.model.world import Observed
from tests.unit.core.desk import Desk, spec


def difference(at: float) -> Difference:
    return Difference(kind=DifferenceKind.STRAY, what="it runs", mended="", at=at)


def seen(desk: Desk, node: str, observed: Observed) -> list[Difference]:
    events = desk.turn(inp.NodeReport(node=node, observed=observed)).events
    return [each.difference for each in events if isinstance(each, ev.DifferenceSeen)]


def test_what_an_agent_found_is_one_event_however_often_it_tells_of_it() -> None:
    desk = Desk()
    desk.node("n1")
    assert seen(desk, "n1", Observed(version=1)) == []
    for last in range(1, 3 * KEPT):
        kept = tuple(map(difference, range(max(0, last - KEPT), last)))
        for version in (1, 2):
            new = seen(desk, "n1", Observed(version=2 * last + version, differences=kept))
            assert new == ([difference(last - 1)] if version == 1 else [])
        for _ in range(4):
            what = f"{last} of our own"
            desk.turn(inp.DifferenceFound(node="n1", kind=DifferenceKind.BEHIND, what=what, mended=""))
    assert len(desk.state.nodes["n1"].differences) == 2 * KEPT


def test_what_is_found_of_a_node_that_is_not_known_any_more_is_nothing() -> None:
    desk = Desk()
    found = inp.DifferenceFound(node="n9", kind=DifferenceKind.BEHIND, what="", mended="")
    assert desk.turn(found).events == ()


def test_a_rank_that_its_agent_does_not_list_is_a_difference_and_ends() -> None:
    desk = Desk()
    desk.node("n1")
    job = desk.submit(spec())
    desk.place(job, "n1")
    desk.run(job)
    before = Observed(version=9, position=0)
    assert seen(desk, "n1", before) == [], "the agent had not been told of it then"
    told = desk.state.m.position
    (lost,) = seen(desk, "n1", Observed(version=10, position=told))
    assert lost.kind is DifferenceKind.NOT_LISTED
    assert desk.state.jobs[job].state is not JobState.RUNNING
    assert seen(desk, "n1", Observed(version=11, position=told)) == []
