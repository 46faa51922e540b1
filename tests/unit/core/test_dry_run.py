"""What would become of a job, seen without submitting it."""

from dlroverd.core.dry_run import dry_run
from dlroverd.model.job import JobSpec
from dlroverd.model.view import DryRunView
from dlroverd.runtime import codec
from tests.unit.core.desk import Desk, spec


def tried(desk: Desk, wanted: JobSpec) -> DryRunView:
    """Try a job, and see that the state is as before."""
    before = codec.encode_tables(codec.tables_of(desk.state))
    view = dry_run(desk.state, desk.limits, wanted)
    assert codec.encode_tables(codec.tables_of(desk.state)) == before
    return view


def test_where_it_would_go_and_why_not_elsewhere() -> None:
    desk = Desk()
    desk.node("n1", slots=4, labels={"gpu": "h100"})
    desk.node("n2", slots=4, labels={"gpu": "a100"})
    desk.node("n3", slots=2, labels={"gpu": "h100"})
    view = tried(desk, spec(nproc_per_node=4, require=("gpu=h100",)))
    assert [placed.nodes for placed in view.placed] == [("n1",)]
    assert {each.node: each.reason for each in view.rejected} == {
        "n2": "label gpu=a100 where gpu=h100 is asked for",
        "n3": "2 of 2 slots free",
    }


def test_why_it_would_wait_and_behind_whom() -> None:
    desk = Desk()
    desk.node("n1")
    first = desk.submit(spec())
    desk.place(first, "n1")
    desk.submit(spec())
    view = tried(desk, spec())
    assert (view.placed, view.ahead) == ((), 1)
    assert view.reason == "needs 1 node x 1 slot; 0 nodes have 1 free"


def test_who_would_make_room() -> None:
    desk = Desk()
    desk.node("n1")
    low = desk.submit(spec())
    desk.place(low, "n1")
    desk.run(low)
    view = tried(desk, spec(priority=1))
    assert view.preempts == (low,)
    assert desk.state.jobs[low].plan is None


def test_what_is_refused() -> None:
    desk = Desk()
    desk.node("n1")
    assert tried(desk, spec(nodes_min=2, nodes_max=2)).refused.startswith("Role trainer asks for 2 node(s)")
