"""Hosts that die, are cut off or freeze under a job: what people are told, who goes on, and that nobody else does.

The limits are shorter than by default, which changes when the daemon decides and nothing else. Those that are about
the times themselves are in tests/transcripts.
"""

import pytest

from dlroverd.model.view import NodeView
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, Fleet
from tests.fleet.plain import Plain
from tests.system.fleet import gang, until

LIMITS = {"unreachable_after": "1500ms", "lost_by_peers": "3s", "lost_after": "5s"}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Three nodes of one slot each: two that train, and one to spare."""
    return boot(3, daemon={"limits": LIMITS}, agent={"slots": 1})


def spare(fleet: Fleet, job: Plain) -> str:
    """Name the node that a job of two nodes leaves."""
    (left,) = set(fleet.nodes) - set(job.nodes())
    return left


def until_node(fleet: Fleet, node: str, state: str, reason: str = "") -> NodeView:
    """Wait until a node is in a state for a reason."""

    def look() -> NodeView:
        return next(view for view in fleet.client.nodes() if view.id == node)

    return until(look, lambda view: view.state == state and reason in view.reason)


def until_stopped(fleet: Fleet, node: str, job: Plain) -> None:
    """Wait until no process of a job is left on a host."""
    until(lambda: fleet.of_job(node, job.id), lambda left: not left)


def see_free(job: Plain, *, restarts: int) -> None:
    """See that a job was restarted so often and that it did not pay for it."""
    view = job.view()
    assert (view.state, view.restarts, view.restarts_in_window) == ("running", restarts, 0)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_host_is_replaced_by_the_spare(fleet: Fleet, rank: int) -> None:
    """No FIN says that it is gone: rank 0 serves the others, and rank 1 is served."""
    job = Plain(fleet, "2")
    dead, survivor, idle = job.nodes()[rank], job.nodes()[1 - rank], spare(fleet, job)
    fleet.kill(dead)
    until_node(fleet, dead, "unreachable", "silent for 1.5 s; what it runs goes on")
    lost = until_node(fleet, dead, "lost", "silent, and ").reason
    assert sorted(lost.removeprefix("silent, and ").removesuffix(" cannot reach it either").split(" and ")) == sorted(
        [survivor, idle]
    )
    job.until_round(2, [survivor, idle])
    why = fleet.ctl("why", str(job.id))
    assert f"First cause: node {dead} was lost under {job.id}/trainer/0: {lost}." in why
    assert "Done about it: restart, at no cost to the job; step " in why
    assert f"{dead}  lost" in fleet.ctl("node", "list")
    see_free(job, restarts=1)

    fleet.start(dead)
    until_node(fleet, dead, "ready", "its agent is connected")
    job.until_further(20)
    assert not fleet.of_job(dead, job.id)
    assert sorted(job.nodes()) == [each for each in fleet.nodes if each != dead]
    assert not job.late()


def test_without_a_spare_a_range_shrinks(fleet: Fleet) -> None:
    job = Plain(fleet, "2:3", steps=150)
    dead, *survivors = job.nodes()
    fleet.kill(dead)
    job.until_round(2, survivors)
    assert gang(job.view()).world_size == 2
    assert fleet.until_over(job.id).state == "succeeded"
    assert not job.late()
    assert {each.step for each in job.written()} == set(range(1, 151))


@pytest.mark.parametrize(("rank", "fault"), [(0, "cut off"), (1, "frozen")])
def test_one_that_comes_back_stops_what_it_runs(fleet: Fleet, rank: int, fault: str) -> None:
    """Its rank waits in a sum that its peer will never take part in, and would for ever: it is stopped when heard."""
    job = Plain(fleet, "2", "--env", "DEAF=1")
    stale, survivor, idle = job.nodes()[rank], job.nodes()[1 - rank], spare(fleet, job)
    before = {process.pid for process in fleet.of_job(stale, job.id)}
    if fault == "frozen":
        fleet.freeze(stale)
    else:
        fleet.partition(stale)
    until_node(fleet, stale, "lost", "cannot reach it either")
    job.until_round(2, [survivor, idle])
    assert {process.pid for process in fleet.of_job(stale, job.id)} == before
    if fault == "frozen":
        fleet.thaw(stale)
    else:
        fleet.heal(stale)
    until_node(fleet, stale, "ready", "its agent is connected")
    until_stopped(fleet, stale, job)
    job.until_further(20)
    see_free(job, restarts=1)
    job.see_only_the_step_under_way(stale)


def test_cut_off_from_the_daemon_alone_costs_no_step(fleet: Fleet) -> None:
    """However long: others reach the node, so nothing was lost but the way to the daemon."""
    job = Plain(fleet, "2")
    node = job.nodes()[0]
    before = fleet.ranks(job.id)
    fleet.partition(node, peers=["ctl1"])
    until_node(fleet, node, "unreachable", "can reach it: the way to the daemon is cut; what it runs goes on")
    job.until_further(120)  # at 20 a second past `lost_after`
    until_node(fleet, node, "unreachable", "can reach it: the way to the daemon is cut; what it runs goes on")
    assert "unreachable" in fleet.ctl("node", "list")
    fleet.heal(node)
    until_node(fleet, node, "ready", "its agent is connected")
    fleet.until_job(job.id, lambda view: gang(view).step > 120)
    assert fleet.ranks(job.id) == before
    view = job.view()
    assert (view.state, view.reason, view.restarts, view.incidents) == ("running", "every rank runs", 0, ())


def test_cut_off_from_the_daemon_it_stops_on_the_word_of_a_peer(fleet: Fleet) -> None:
    """A rank elsewhere died, the world is formed anew without the node, and its own rank does not see any of that."""
    job = Plain(fleet, "2", "--env", "DEAF=1")
    node, survivor = job.nodes()
    idle = spare(fleet, job)
    fleet.partition(node, peers=["ctl1"])
    until_node(fleet, node, "unreachable")
    fleet.exec(survivor, "kill", "-9", str(fleet.ranks(job.id)[survivor, 1].pid))
    until_stopped(fleet, node, job)  # while it is still cut off
    said = fleet.journal(node, AGENT, "-o", "cat", "-n", "5")
    assert f"The daemon is away, and node {survivor} says that round 1 of {job.id}/trainer/0 is over" in said
    until_node(fleet, node, "lost", f"silent, and job {job.id} failed on its other nodes")
    job.until_round(2, [survivor, idle])
    fleet.heal(node)
    until_node(fleet, node, "ready", "its agent is connected")
    assert not job.late()


def test_the_only_copy_is_waited_for(fleet: Fleet) -> None:
    """Nothing proves that a gang of one node has stopped: no second writer is started, whoever cannot reach it."""
    job = Plain(fleet, "1")
    (node,) = job.nodes()
    before = fleet.ranks(job.id)
    fleet.partition(node)
    until_node(fleet, node, "lost", "cannot reach it either")
    why = fleet.ctl("why", str(job.id))
    said = f"node {node} is lost and may still run the only copy of {job.id}/trainer/0"
    remedy = f"if it is down: `dlroverctl node confirm-down {node}`"
    assert job.view().reason == f"{said}; {remedy}"
    assert f"{remedy}." in why
    job.until_further(20)  # it does still run
    fleet.heal(node)
    until_node(fleet, node, "ready", "its agent is connected")
    fleet.until_job(job.id, lambda view: view.reason == "every rank runs")
    assert fleet.ranks(job.id) == before
    assert {each.pid for each in job.written()} == {process.pid for process in before.values()}


def test_the_only_copy_moves_on_a_persons_word(fleet: Fleet) -> None:
    job = Plain(fleet, "1")
    (node,) = job.nodes()
    fleet.kill(node)
    until_node(fleet, node, "lost", "cannot reach it either")
    assert job.view().reason.startswith(f"node {node} is lost and may still run the only copy of {job.id}/trainer/0; ")
    fleet.client.confirm_down(node)
    fleet.until_stepping(job.id, 2)
    (now,) = job.nodes()
    job.until_round(2, [now])
    assert now != node
    see_free(job, restarts=1)
    fleet.start(node)
    until_node(fleet, node, "ready", "its agent is connected")
    job.until_further(20)
    assert not fleet.of_job(node, job.id)
    assert not job.late()


def test_the_only_copy_starts_anew_once_its_host_has_booted(fleet: Fleet) -> None:
    job = Plain(fleet, "1")
    (node,) = job.nodes()
    fleet.kill(node)
    until_node(fleet, node, "lost", "cannot reach it either")
    fleet.start(node)
    job.until_round(2, [node])
    (incident,) = job.view().incidents
    assert incident.cause is not None
    assert incident.cause.sentence == f"rank 0 on {node} is gone: the host was rebooted"
    see_free(job, restarts=1)
    assert not job.late()
