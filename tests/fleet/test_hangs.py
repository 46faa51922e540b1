"""On real hosts: a rank that is stopped is named, with the stacks of both hosts, and its gang is restarted."""

import json

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import SCRIPTS, Fleet
from tests.system.fleet import gang, until


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of one slot each."""
    return boot(2, daemon={"hangs": {"step_floor": "4s", "floor": "4s", "stage": "act"}}, agent={"slots": 1})


def test_a_stopped_rank_is_named_and_the_stacks_of_both_hosts_are_kept(fleet: Fleet) -> None:
    job = fleet.submit("--nnodes", "2", str(SCRIPTS / "ddp.py"), "100000")
    before = gang(fleet.until_stepping(job))
    # Until so many steps were seen that a hang would be noticed.
    until(lambda: gang(fleet.client.job(job)).hang, lambda hang: hang.budgets[0].seconds < hang.budgets[0].ceiling_s)
    victim = fleet.ranks(job)[before.ranks[1].node, 1]
    fleet.exec("node2", "kill", "-STOP", str(victim.pid))

    view = fleet.until_stepping(job, round_=2)

    cause = view.incidents[0].cause
    assert cause is not None
    assert cause.sentence.startswith("hang: rank 1 on node2 is stopped by a signal (SIGSTOP)")
    (event,) = fleet.client.events(job=job, names=["hang_judged"])
    verdict = json.loads(event.body)["verdict"]
    assert (verdict["node"], verdict["absent"]) == ("node2", [])
    waits, stopped = verdict["groups"]
    assert (waits["ranks"], stopped["ranks"]) == ([0], [1])
    assert any("backward" in call for call in waits["frames"])
    assert stopped["frames"]
