"""A log that goes on from an older copy: what runs is taken in from the nodes, and nothing is begun beside it."""

from copy import deepcopy

from dlroverd.core import invariants
from dlroverd.core.desired import desired
from dlroverd.core.turn import Done, Refused
from dlroverd.model import input as inp
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import Held, Observed, RankObservation
from tests.unit.core.desk import Desk, spec


def restored(before: Desk) -> Desk:
    """Go on from a copy of a daemon's state, an hour later, as another log."""
    desk = Desk()
    desk.state = deepcopy(before.state)
    desk.state.log_id = "log2"
    desk.now = before.now + 3600.0
    desk.turn(inp.StateRestored(ancestors=("log1",), taken_at=before.now))
    sound(desk)
    return desk


def sound(desk: Desk) -> None:
    assert invariants.check(desk.state, desk.limits) == []


def running(nodes: int = 2, jobs: int = 1) -> Desk:
    """Have nodes, and on each of the first ones a job that runs."""
    desk = Desk()
    for number in range(1, nodes + 1):
        desk.node(f"n{number}")
    for number in range(1, jobs + 1):
        desk.place(desk.submit(spec()), f"n{number}")
        desk.run(number)
    return desk


def hello(desk: Desk, truth: Desk, node: str, log_id: str = "log1") -> None:
    """Have a node's agent say what it holds and runs, as the daemon before knows it; then as it follows this log."""
    told = desired(truth.state, node)
    held = Held(assignments=told.assignments, jobs=told.jobs)
    seen = tuple(
        RankObservation(key=rank.key, state=rank.state, pid=rank.pid)
        for rank in truth.state.ranks.values()
        if rank.node == node
    )
    facts, boot = truth.state.nodes[node].facts, truth.state.nodes[node].boot_id
    for follows in (log_id, desk.state.log_id):
        observed = Observed(version=1, position=desk.state.m.position, ranks=seen)
        at = desk.state.m.position if follows == desk.state.log_id else 10**6
        desk.turn(
            inp.NodeHello(
                node=node, boot_id=boot, facts=facts, log_id=follows, position=at, observed=observed, held=held
            )
        )
        sound(desk)


def test_until_its_nodes_are_heard_nothing_runs_and_nothing_is_begun() -> None:
    desk = restored(running())
    (job,) = desk.state.jobs.values()
    assert (job.state, "job resume 1" in job.reason) == (JobState.SUSPENDED, True)
    assert "60 min old" in job.reason
    assert {node.state for node in desk.state.nodes.values()} == {NodeState.FOREIGN}
    new = desk.submit(spec())
    assert new > 10_000
    desk.settle()
    assert not desk.state.grants, "no node may be used yet"
    (refused,) = desk.turn(inp.Resume(request_id="r", job=1, actor="ann")).outcomes
    assert isinstance(refused, Refused)
    assert "n1, n2" in refused.sentence
    position = desk.state.m.position
    desk.turn(inp.StateRestored(ancestors=("log1",), taken_at=0.0))
    assert desk.state.m.position == position, "each start of the daemon says it again"


def test_what_went_on_is_found_in_the_round_that_it_is_in_by_now() -> None:
    before = running()
    desk = restored(before)
    failed = ExitInfo(exited_at=before.now, code=1)
    before.report(1, RankState.GONE, failed)
    before.run(1)
    assert before.state.gangs_of(1)[0].round == 2
    later = before.submit(spec())
    before.place(later, "n2")
    before.run(later)

    for node in ("n1", "n2"):
        hello(desk, before, node)
    assert {job: record.state for job, record in desk.state.jobs.items()} == {1: JobState.RUNNING, 2: JobState.RUNNING}
    assert [gang.round for gang in desk.state.gangs_of(1)] == [2]
    assert {node.state for node in desk.state.nodes.values()} == {NodeState.READY}
    assert not desk.state.tombstones
    desk.report(1, RankState.GONE, failed)
    assert [gang.round for gang in desk.state.gangs_of(1)] == [3], "its rounds go on above"
    sound(desk)


def test_a_job_whose_nodes_run_nothing_of_it_is_a_persons_to_resume() -> None:
    before = running()
    desk = restored(before)
    before.turn(inp.Cancel(request_id="c", job=1, actor="ann"))
    before.report(1, RankState.GONE, ExitInfo(exited_at=before.now, signal=15, requested=True))
    hello(desk, before, "n1")
    desk.turn(inp.NodeSilent(node="n2"))
    (refused,) = desk.turn(inp.Resume(request_id="x1", job=1, actor="ann")).outcomes
    assert isinstance(refused, Refused)
    assert "node confirm-down n2" in refused.sentence
    desk.turn(inp.ConfirmDown(node="n2", actor="ann"))
    assert desk.turn(inp.Resume(request_id="x2", job=1, actor="ann")).outcomes == (Done(1),)
    desk.place(1, "n1")
    assert [gang.round for gang in desk.state.gangs_of(1)] == [1002], "above what may have been formed meanwhile"
    sound(desk)


def test_a_node_that_was_cut_off_with_an_older_world_is_found_first() -> None:
    before = running()
    stale = deepcopy(before.state)
    desk = restored(before)
    before.turn(inp.NodeSilent(node="n1"))
    before.now += 10_000.0
    before.turn(inp.ConfirmDown(node="n1", actor="ann"))
    before.settle()
    before.run(1)
    assert before.state.gangs_of(1)[0].nodes == ("n2",)
    old = Desk()
    old.state = stale

    hello(desk, old, "n1")
    assert [gang.nodes for gang in desk.state.gangs_of(1)] == [("n1",)]
    hello(desk, before, "n2")
    assert [(gang.nodes, gang.round) for gang in desk.state.gangs_of(1)] == [(("n2",), 2)]
    (tombstone,) = desired(desk.state, "n1").tombstones
    assert tombstone.round.round == 1
    assert not desired(desk.state, "n2").tombstones
    hello(desk, old, "n1", "log2")
    assert desk.state.gangs_of(1)[0].nodes == ("n2",)


def test_a_stop_that_was_ordered_before_the_copy_stays_ordered() -> None:
    before = running()
    before.turn(inp.Cancel(request_id="c", job=1, actor="ann"))
    assert before.state.jobs[1].state is JobState.STOPPING
    desk = restored(before)
    assert desk.state.jobs[1].state is JobState.CANCELLED
    hello(desk, before, "n1")
    assert [each.round.job for each in desired(desk.state, "n1").tombstones] == [1]


def test_ranks_of_jobs_that_nobody_knows_are_listed_and_left_alone() -> None:
    before = running()
    desk = restored(before)
    stray = RankObservation(key=RankKey(7, "trainer", 0, 1, 0), state=RankState.RUNNING, pid=5)
    facts = before.state.nodes["n2"].facts
    for follows in ("log1", "log2"):
        observed = Observed(version=1, position=desk.state.m.position, ranks=(stray,))
        desk.turn(
            inp.NodeHello(
                node="n2", boot_id="b", facts=facts, log_id=follows, position=1, observed=observed, held=Held()
            )
        )
    assert desk.state.nodes["n2"].orphans == (stray.key,)
    assert not desired(desk.state, "n2").tombstones
    sound(desk)


def test_a_copy_may_be_restored_again_over_the_log_that_it_became() -> None:
    before = running()
    first = restored(before)
    given = first.submit(spec())
    again = restored(before)
    again.turn(inp.StateRestored(ancestors=("log1", "log2"), taken_at=before.now))
    assert again.state.m.next_job > given + 10_000
    assert again.state.m.ancestors == ("log1", "log2")
    sound(again)
