"""People take hosts out of use, have them rebooted, and get them back; jobs move on or stay as was asked."""

from typing import Any

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import SCRIPTS, Fleet
from tests.system.fleet import gang, until

FOR_EVER = "1000000000"


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of one slot each: a job that has to leave one can only go to the other."""
    return boot(agent={"slots": 1})


@pytest.fixture(autouse=True)
def nobody_holds_anything(fleet: Fleet) -> None:
    """What a test that failed has held does not keep the next from a node."""
    for view in fleet.client.nodes():
        for owner in {each.owner for each in view.holds}:
            fleet.client.release([view.id], owner=owner)


def runs_on(fleet: Fleet, job: int) -> str:
    """Give the node of a job's only rank, once it steps."""
    return str(gang(fleet.until_stepping(job, round_=gang(fleet.client.job(job)).round)).ranks[0].node)


def shown(fleet: Fleet, node: str) -> dict[str, Any]:
    return next(each for each in fleet.json("node", "list")["nodes"] if each["id"] == node)


def begin(fleet: Fleet) -> tuple[int, str]:
    job = fleet.submit("--nnodes", "1", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), FOR_EVER)
    return job, str(gang(fleet.until_stepping(job)).ranks[0].node)


def test_a_host_is_emptied_rebooted_checked_and_put_back(fleet: Fleet) -> None:
    job, node = begin(fleet)
    other = next(each for each in fleet.nodes if each != node)
    before = fleet.boot_id(node)
    fleet.ctl(
        *("node", "maintenance", "start", node, "--now", "--reboot", "--until-checked"),
        *("--reason", "new kernel", "--owner", "ann"),
    )
    moved = fleet.until_job(job, lambda view: gang(view).round == 2 and view.state == "running")
    assert [rank.node for rank in gang(moved).ranks] == [other]
    until(lambda: fleet.boot_id(node), lambda now: now != before)
    fleet.until_nodes(lambda views: all(view.state == "ready" and not view.holds for view in views))
    released = list(fleet.client.events(node=node, names=["node_released"]))
    assert '"actor":"dlroverd"' in released[-1].body
    assert "can be used" in fleet.ctl("node", "why", node)
    assert not any(event.name == "evidence_seen" for event in fleet.client.events(node=node)), "it was ordered"


def test_a_drain_lets_jobs_finish_and_several_people_hold_a_node(fleet: Fleet) -> None:
    job, node = begin(fleet)
    fleet.ctl("node", "drain", node, "--reason", "fans are loud", "--owner", "ann")
    fleet.ctl("node", "cordon", node, "--reason", "disk is slow", "--owner", "bob")
    view = shown(fleet, node)
    assert view["progress"] == f"draining: 1 job left (job {job}, until they end or restart)"
    assert [(each["owner"], each["kind"], each["reason"]) for each in view["holds"]] == [
        ("ann", "drain", "fans are loud"),
        ("bob", "cordon", "disk is slow"),
    ]
    table = fleet.ctl("node", "list")
    assert "drain(ann),cordon(bob)" in table
    assert "drain by ann since" in table
    # It restarts elsewhere; the same restart on a node that is only cordoned would stay.
    fleet.ctl("job", "restart", str(job))
    moved = fleet.until_job(job, lambda now: gang(now).round == 2 and now.state == "running")
    assert [rank.node for rank in gang(moved).ranks] != [node]
    assert shown(fleet, node)["progress"] == "drained"
    fleet.ctl("node", "uncordon", node, "--owner", "ann")
    assert [each["owner"] for each in shown(fleet, node)["holds"]] == ["bob"]
    fleet.ctl("node", "uncordon", node, "--owner", "bob")
    assert shown(fleet, node)["free"] == 1


def test_what_one_command_did_to_the_whole_fleet_is_asked_about_and_undone(fleet: Fleet) -> None:
    fleet.ctl("node", "cordon", "--all", "--reason", "power", "--owner", "ann", code=2)  # nobody is there to be asked
    assert not any(view.holds for view in fleet.client.nodes())
    fleet.ctl("node", "cordon", "node[1-2]", "--reason", "power", "--owner", "ann", "--yes")
    holds = [each for view in fleet.client.nodes() for each in view.holds]
    assert len(holds) == 2
    assert len({each.request for each in holds}) == 1
    fleet.ctl("node", "uncordon", "--undo", holds[0].request)
    assert not any(view.holds for view in fleet.client.nodes())
