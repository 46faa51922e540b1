"""Jobs that are stopped on purpose, and go on with other nodes: real daemon, agents and processes."""

import os
import re
import signal
from collections.abc import Callable

import pytest

from tests.system.fleet import ROOT, SCRIPTS, Fleet, gang, pids, until, until_ended
from tests.system.savings import Savings, output

QUICK = {"grow_settle": "200ms", "grow_cooldown": "500ms", "unreachable_after": "2s", "lost_by_peers": "3s"}
Make = Callable[..., Fleet]


def kill_node(fleet: Fleet, node: str, ranks: list[int]) -> None:
    """Kill a node's agent and then the ranks that it had, so that nobody reports their end; and say that it is down."""
    fleet.agents[node].stop(signal.SIGKILL)
    for pid in ranks:
        os.killpg(os.getpgid(pid), signal.SIGKILL)
    fleet.until_nodes(lambda views: any(view.id == node and view.state == "unreachable" for view in views))
    fleet.ctl("node", "confirm-down", node, "--yes")


@pytest.mark.parametrize("how", ["output", "page"])
def test_a_job_is_suspended_at_its_checkpoint_and_goes_on_from_it(fleet: Make, how: str) -> None:
    one = fleet(nodes=1, slots=1)
    job = Savings(one, "--notice-signal", "USR1", how=how)
    job.until_on(1, 1)
    job.saves()

    told = one.ctl("job", "suspend", str(job.job)).stderr
    assert "stops at its next checkpoint, at " in told
    assert "its nodes become free for others" in told
    view = one.client.job(job.job)
    assert view.plan is not None
    assert (view.plan.kind, view.plan.stopping, view.state) == ("suspend", False, "running")
    assert "stops at its next checkpoint, at " in one.ctl("job", "status", str(job.job)).stdout
    until(job.said, lambda said: "told: suspended by" in said)
    assert "ended: " not in job.said()

    other = one.submit("--time-limit", "1h", str(SCRIPTS / "steps.py"), "--steps", "5")
    job.saves()
    job.until_state("suspended")
    one.until_over(other)  # its node was free for another
    step = job.saved()
    assert job.events("incident_opened") == []

    one.ctl("job", "resume", str(job.job))
    job.until_on(1, 2)
    said = job.said()
    assert re.search(rf"begins at {step} as one of 1$", said, re.MULTILINE)
    assert re.search(r"ended: suspended by \w+; `dlroverctl job resume 1` lets it go on$", said, re.MULTILINE)
    assert one.client.job(job.job).restarts == 0


def test_a_job_that_tells_of_no_checkpoint_is_stopped_at_once_and_one_in_time_can_be_called_off(fleet: Make) -> None:
    one = fleet(nodes=1, slots=2)
    mute = Savings(one, how="silent")
    mute.until_on(1, 1)
    one.ctl("job", "suspend", str(mute.job))
    mute.until_state("suspended")
    assert "ended: suspended by" in mute.said()

    job = Savings(one, "--notice-signal", "USR1")
    job.until_on(1, 1)
    job.saves()
    one.ctl("job", "suspend", str(job.job))
    until(job.said, lambda said: "told: suspended by" in said)
    one.ctl("job", "resume", str(job.job))
    until(lambda: list(one.root.glob(f"n1/ranks/j{job.job}-*/notice")), lambda left: not left)
    view = one.client.job(job.job)
    assert (view.plan, view.state, gang(view).round) == (None, "running", 1)
    job.saves()
    assert gang(one.client.job(job.job)).round == 1

    refused = one.ctl("job", "resume", str(job.job), code=1).stderr
    assert f"Job {job.job} is running, not suspended; there is nothing to resume." in refused


def test_a_running_job_is_scaled_up_and_down(fleet: Make) -> None:
    two = fleet(nodes=2, slots=1)
    job = Savings(two, "--nnodes", "1")
    first = job.until_on(1, 1)
    two.ctl("job", "scale", str(job.job), "--nnodes", "2", "--now")
    view = job.until_on(2, 2)
    assert gang(view).ranks[0].node == gang(first).ranks[0].node
    assert "ended: scaled to 2 nodes by" in job.said()

    job.saves()
    two.ctl("job", "scale", str(job.job), "--nnodes", "1:1")
    assert gang(two.client.job(job.job)).round == 2
    job.saves()
    view = job.until_on(1, 3)
    assert (view.restarts, view.incidents) == (0, ())
    assert f"begins at {job.saved()} as one of 1" in job.said()
    refused = two.ctl("job", "scale", str(job.job), "-N", "3", code=1).stderr
    assert "Role trainer would need 3 nodes; the fleet has 2 that are large enough." in refused


def test_a_spare_takes_the_place_of_a_node_that_dies(fleet: Make) -> None:
    three = fleet(nodes=3, slots=1, limits=QUICK)
    job = Savings(three, "--nnodes", "2", "--spares", "1")
    view = job.until_on(2, 1)
    (spare,) = gang(view).spares
    lost = gang(view).ranks[1]
    waits = three.submit(str(SCRIPTS / "steps.py"), "--steps", "5")
    three.until_job(waits, lambda other: other.state == "queued" and "free" in other.reason)
    kill_node(three, lost.node, [lost.pid])

    view = job.until_on(2, 2)
    assert [rank.node for rank in gang(view).ranks] == [gang(view).ranks[0].node, spare]
    assert gang(view).spares == ()
    assert [body for body in job.events("job_moved") if '"needs_nodes"' in body] == []
    assert "0 of its 1 spares could be kept so far" in three.ctl("job", "status", str(job.job)).stdout


def test_a_job_shrinks_when_nothing_is_coming_and_grows_at_a_checkpoint_when_there_is_room(fleet: Make) -> None:
    two = fleet(nodes=2, slots=1, limits=QUICK)
    job = Savings(two, "--nnodes", "1:2")
    view = job.until_on(2, 1)
    lost = gang(view).ranks[1]
    kill_node(two, lost.node, [lost.pid])
    job.until_on(1, 2)

    job.saves()
    two.agents[lost.node].start()
    two.until_job(job.job, lambda view: view.plan is not None and view.plan.kind == "grow")
    assert gang(two.client.job(job.job)).round == 2
    job.saves()
    view = job.until_on(2, 3)
    assert f"begins at {job.saved()} as one of 2" in job.said()
    assert len(view.incidents) == 1


def test_a_job_that_tells_of_no_checkpoint_does_not_grow_and_says_so(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1, limits=QUICK)
    job = Savings(one, "--nnodes", "1:2", how="silent")
    job.until_on(1, 1)
    one.add_node(1)
    view = one.until_job(job.job, lambda view: "no checkpoint" in gang(view).growth)
    why = (
        "runs on 1 of up to 2 nodes; 1 more could be had, but it has told of no checkpoint, "
        "so it does not grow by itself"
    )
    assert gang(view).growth == why
    assert why in one.ctl("why", str(job.job)).stdout


def test_a_fault_before_the_checkpoint_ends_in_what_was_planned(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1)
    job = Savings(one, "--max-restarts", "1")
    view = job.until_on(1, 1)
    job.saves()
    one.ctl("job", "suspend", str(job.job))
    os.kill(pids(view)[0], signal.SIGKILL)
    view = job.until_state("suspended")
    assert [incident.open for incident in view.incidents] == [False]
    one.ctl("job", "resume", str(job.job))
    job.until_on(1, 2)
    assert f"begins at {job.saved()} as one of 1" in job.said()


def test_a_planned_stop_outlives_the_daemon_and_the_agent(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1)
    job = Savings(one, "--notice-signal", "USR1")
    view = job.until_on(1, 1)
    job.saves()
    one.ctl("job", "suspend", str(job.job))
    until(job.said, lambda said: "told: suspended by" in said)
    one.daemon.stop(signal.SIGKILL)
    one.agents["n1"].stop(signal.SIGKILL)
    one.agents["n1"].start()
    one.daemon.start()
    one.until_nodes(lambda views: [each.state for each in views] == ["ready"])
    plan = one.client.job(job.job).plan
    assert plan is not None
    assert not plan.stopping
    job.saves()
    job.until_state("suspended")
    until_ended(pids(view)[0])
    assert job.said().count("told: ") == 1
    assert gang(one.client.job(job.job)).round == 1


def test_the_daemon_is_killed_while_the_job_is_being_stopped(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1)
    job = Savings(one, "--preempt-grace", "30s")
    view = job.until_on(1, 1)
    os.kill(pids(view)[0], signal.SIGSTOP)  # so that TERM waits
    one.ctl("job", "suspend", str(job.job), "--now")
    one.daemon.stop(signal.SIGKILL)
    one.daemon.start()
    plan = one.client.job(job.job).plan
    assert plan is not None
    assert plan.stopping
    os.kill(pids(view)[0], signal.SIGCONT)
    job.until_state("suspended")
    assert "ended: suspended by" in job.said()
    one.ctl("job", "resume", str(job.job))
    job.until_on(1, 2)


def test_a_training_resumes_from_the_checkpoint_that_it_was_suspended_at(fleet: Make) -> None:
    one = fleet(nodes=1, slots=2)
    folder = one.root / "digits"
    flags = ("--checkpoint-dir", str(folder), "--epochs", "100000", "--save-every", "5")
    job = one.submit("--nproc-per-node", "2", "--max-restarts", "0", str(ROOT / "examples" / "digits.py"), *flags)
    until(lambda: list(one.client.events(job=job, names=("checkpoint_seen",))), bool)
    one.ctl("job", "suspend", str(job))
    one.until_job(job, lambda view: view.state == "suspended")
    saved = re.findall(r"saved checkpoint at step (\d+)$", output(one, job), re.MULTILINE)
    one.ctl("job", "resume", str(job))
    one.until_stepping(job, 2)
    assert f"resumed from step {saved[-1]}\n" in output(one, job)
