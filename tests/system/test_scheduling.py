"""Who is placed first, and who makes room: real daemon, agents and processes."""

import sys
from collections.abc import Callable

from tests.system.fleet import SCRIPTS, Fleet, until
from tests.system.savings import Savings

Make = Callable[..., Fleet]
STEPS = str(SCRIPTS / "steps.py")


def test_a_job_makes_room_at_its_checkpoint_is_told_why_and_goes_on_after(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1)
    low = Savings(one)
    low.until_on(1, 1)
    low.saves()

    urgent = one.submit("--priority", "10", STEPS, "--steps", "2")
    assert "waits for job 1 of lower priority to make room" in one.ctl("why", str(urgent)).stdout
    assert f"makes room for job {urgent}, which has priority 10" in one.ctl("why", str(low.job)).stdout
    (one.root / "savings" / "save").touch()
    until(low.said, lambda said: f"ended: makes room for job {urgent}, which has priority 10" in said)
    one.until_job(urgent, lambda view: view.state == "succeeded")
    low.until_on(1, 2)
    assert f"begins at {low.saved()} as one of 1" in low.said()
    view = one.client.job(low.job)
    assert (view.restarts, view.incidents) == (0, ())
    one.ctl("job", "cancel", str(low.job))


def test_who_needs_no_room_any_more_stops_nobody(fleet: Make) -> None:
    one = fleet(nodes=1, slots=1)
    low = Savings(one)
    low.until_on(1, 1)
    low.saves()
    urgent = one.submit("--priority", "1", STEPS)
    until(lambda: one.client.job(low.job).plan, lambda plan: plan is not None)
    one.ctl("job", "cancel", str(urgent))
    until(lambda: one.client.job(low.job).plan, lambda plan: plan is None)
    low.saves()
    low.until_on(1, 1)
    one.ctl("job", "cancel", str(low.job))


def test_a_quota_holds_back_its_user_and_nobody_else(fleet: Make) -> None:
    projects = {"vision": {"devices": 2}, "closed": {"jobs": 0}}
    one = fleet(nodes=1, slots=4, scheduling={"quotas": {"projects": projects}})
    first = one.submit("--project", "vision", "--nproc-per-node", "2", STEPS)
    one.until_stepping(first)
    second = one.submit("--project", "vision", STEPS, "--steps", "1")
    other = one.submit("--project", "speech", STEPS, "--steps", "1")
    one.until_job(other, lambda view: view.state == "succeeded")
    told = one.ctl("why", str(second)).stdout
    assert "project vision uses 2 of 2 devices (quota), and it needs 1" in told
    refused = one.ctl("submit", "--python", sys.executable, "--project", "closed", STEPS, code=1).stderr
    assert "The quota of project closed is 0 jobs, so none of theirs can run; ask an operator to raise it." in refused
    too_large = one.ctl(
        "submit", "--python", sys.executable, "--project", "vision", "--nproc-per-node", "3", STEPS, code=1
    ).stderr
    assert "The job needs 3 devices, and the quota of project vision is 2;" in too_large
    one.ctl("job", "cancel", str(first))
    one.until_job(second, lambda view: view.state == "succeeded")
