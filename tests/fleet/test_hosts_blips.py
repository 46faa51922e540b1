"""What costs a job nothing, or next to nothing: short faults, slow links, the daemon's host. All limits as shipped."""

import time

import pytest

from tests.fleet.harness import CTL, SCRIPTS, Fleet
from tests.fleet.plain import Plain
from tests.system.fleet import gang, until

# Below the 5 s after which a silent node is called unreachable.
BLIP_S = 3.0


def see_nothing_happened(fleet: Fleet, job: Plain, before: object) -> None:
    """See that a job trains on with the processes it had, and that the daemon has nothing to tell about it."""
    job.until_further(20)
    fleet.until_ready()
    assert fleet.ranks(job.id) == before
    view = fleet.until_job(job.id, lambda view: gang(view).step >= job.written()[-1].step - 20)
    assert (view.state, view.reason, view.restarts, view.incidents) == ("running", "every rank runs", 0, ())


@pytest.mark.parametrize("fault", ["cut off", "cut off from a peer", "frozen"])
def test_a_blip_shorter_than_the_limit(fleet: Fleet, fault: str) -> None:
    job = Plain(fleet, "2")
    before = fleet.ranks(job.id)
    node, peer = job.nodes()
    if fault == "frozen":
        fleet.freeze(node)
    else:
        fleet.partition(node, peers=[peer] if "peer" in fault else [])
    time.sleep(BLIP_S)  # is the fault itself
    states = {view.id: view.state for view in fleet.client.nodes()}
    assert states == {node: "ready", peer: "ready"}
    if fault == "frozen":
        fleet.thaw(node)
    else:
        fleet.heal(node)
    see_nothing_happened(fleet, job, before)
    assert not list(fleet.client.events(names=["node_moved"], since=fleet.client.job(job.id).started_at))


def test_a_slow_link_that_loses_frames(fleet: Fleet) -> None:
    job = Plain(fleet, "2")
    before = fleet.ranks(job.id)
    fleet.slow(job.nodes()[1], delay="40ms", loss="3%")
    job.until_further(20)
    fleet.heal()
    see_nothing_happened(fleet, job, before)
    assert not list(fleet.client.events(names=["node_moved"], since=fleet.client.job(job.id).started_at))


def test_the_daemons_host_loses_power(fleet: Fleet) -> None:
    """It takes its connections with it unseen; what had been durable is all there when it is back."""
    job = Plain(fleet, "2")
    before = fleet.ranks(job.id)
    submitted_at = job.view().submitted_at
    fleet.kill(CTL)
    job.until_further(150)
    fleet.start(CTL)
    see_nothing_happened(fleet, job, before)
    assert job.view().submitted_at == submitted_at


@pytest.mark.parametrize("how", ["reset", "rebooted"])
def test_a_host_that_is_back_in_a_moment(fleet: Fleet, how: str) -> None:
    """Nobody has missed it yet: its new boot id alone says that its ranks are gone. Its job pays for neither."""
    job = Plain(fleet, "2")
    nodes = job.nodes()
    if how == "reset":
        fleet.kill(nodes[1])
        fleet.start(nodes[1])
    else:
        fleet.reboot(nodes[1])
    job.until_round(2, nodes)
    view = job.view()
    (incident,) = view.incidents
    assert incident.cause is not None
    assert incident.cause.sentence.startswith(f"rank 1 on {nodes[1]} is gone: the host ")
    assert (view.state, view.restarts, view.restarts_in_window) == ("running", 1, 0)
    assert not job.late()


def test_torch_goes_on_with_those_who_are_left(fleet: Fleet) -> None:
    """Without a spare: gloo waits for its lost peer for half an hour, the daemon for 15 s."""
    state = fleet.shared / "ddp.step"
    words = ("--nnodes", "1:2", "--nproc-per-node", "1", "--env", f"DDP_STATE={state}")
    job = fleet.submit(*words, str(SCRIPTS / "ddp.py"), "1000000")
    until(lambda: state.exists() and int(state.read_text()), lambda step: step >= 10)
    nodes = list(dict.fromkeys(rank.node for rank in gang(fleet.client.job(job)).ranks))
    fleet.kill(nodes[0])
    view = fleet.until_stepping(job, 2)
    assert {rank.node for rank in gang(view).ranks} == {nodes[1]}
    assert gang(view).step > 10
    (incident,) = view.incidents
    assert incident.cause is not None
    assert incident.cause.sentence == (
        f"node {nodes[0]} was lost under {job}/trainer/0: silent, and {nodes[1]} cannot reach it either"
    )
    assert (view.restarts, view.restarts_in_window) == (1, 0)
