"""Rehearsals on real hosts: a node that is lost while others can say so, and an agent that systemd starts anew."""

import json
from typing import Any

import pytest

from dlroverd.model.world import DrillKind
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, SCRIPTS, Fleet
from tests.system.fleet import gang, until

DDP = str(SCRIPTS / "ddp.py")
LIMITS = {"unreachable_after": "2s", "lost_by_peers": "4s", "lost_after": "8s"}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """One node more than the jobs here need."""
    return boot(3, daemon={"limits": LIMITS}, agent={"slots": 1})


def drill(fleet: Fleet, job: int, *words: str) -> Any:
    """Order a drill, and give what it says of its end."""
    return json.loads(fleet.ctl("job", "drill", str(job), *words, "--yes", "-o", "json"))


def test_a_lost_node_is_replaced_and_stops_its_stale_ranks_when_it_is_back(fleet: Fleet) -> None:
    # The agent is stopped for longer than systemd waits for its signs of life.
    fleet.override("node2", AGENT, "WatchdogSec=3s")
    job = fleet.submit("--nnodes", "2", DDP, "100000")
    before = fleet.until_stepping(job)
    assert [rank.node for rank in gang(before).ranks] == ["node1", "node2"]
    agent = fleet.main_pid("node2", AGENT)

    said = drill(fleet, job, "--lose-node", "node2", "--for", "10s")

    assert said["outcome"] == "restarted"
    assert said["incident"]["drill"] == "lose_node ordered by root"
    assert said["incident"]["cause"]["node"] == "node2"
    sources = {phase["phase"]: phase["source"] for phase in said["phases"]}
    assert sources["detect"] == "limits.lost_by_peers: other agents cannot reach it either"
    view = fleet.client.job(job)
    assert [rank.node for rank in gang(view).ranks] == ["node1", "node3"]
    assert (view.restarts, view.restarts_in_window) == (1, 0)

    # Its agent had not ended: it was frozen, and what it ran is stopped once it is heard again.
    fleet.until_ready()
    until(lambda: fleet.of_job("node2", job), lambda left: not left)
    assert fleet.main_pid("node2", AGENT) == agent
    assert fleet.client.job(job).restarts == 1


def test_a_loss_shorter_than_the_limits_costs_no_restart(fleet: Fleet) -> None:
    job = fleet.submit("--nnodes", "2", DDP, "100000")
    fleet.until_stepping(job)
    before = set(fleet.ranks(job))
    pids = [rank.pid for rank in gang(fleet.client.job(job)).ranks]

    said = drill(fleet, job, "--lose-node", "node2", "--for", "1s")

    assert said["outcome"] == "went_on"
    assert set(fleet.ranks(job)) == before
    assert [rank.pid for rank in gang(fleet.client.job(job)).ranks] == pids
    assert not fleet.client.job(job).incidents


def test_a_killed_agent_is_started_anew_and_finds_its_ranks(fleet: Fleet) -> None:
    job = fleet.submit("--nnodes", "2", DDP, "100000")
    fleet.until_stepping(job)
    pids = [rank.pid for rank in gang(fleet.client.job(job)).ranks]
    agent = fleet.main_pid("node1", AGENT)

    said = drill(fleet, job, "--kill-agent", "node1")

    assert said["outcome"] == "went_on"
    assert fleet.main_pid("node1", AGENT) not in (0, agent)
    assert [rank.pid for rank in gang(fleet.client.job(job)).ranks] == pids
    assert not fleet.client.job(job).incidents
    # Once: the agent that came back was not killed as well.
    assert fleet.exec("node1", "systemctl", "show", "--value", "-p", "NRestarts", AGENT).strip() == "1"


def test_a_rank_that_a_drill_holds_goes_on_when_the_agent_dies_meanwhile(fleet: Fleet) -> None:
    job = fleet.submit("--nnodes", "2", DDP, "100000")
    fleet.until_stepping(job)
    (pid,) = [process.pid for (node, _), process in fleet.ranks(job).items() if node == "node1"]
    for kind in (DrillKind.FREEZE_RANK, DrillKind.HANG_RANK):
        fleet.client.drill(kind, job=job, role="trainer", rank=0, for_s=3600.0)
        until(lambda: held(fleet, pid), lambda is_held: is_held)
        fleet.exec("node1", "kill", "-KILL", str(fleet.main_pid("node1", AGENT)))
        until(lambda: held(fleet, pid), lambda is_held: not is_held)
        fleet.until_ready()
    view = fleet.client.job(job)
    assert (view.restarts, view.incidents) == (0, ())


def held(fleet: Fleet, pid: int) -> bool:
    """Tell whether a process of node1 is stopped, or its control group frozen."""
    state = fleet.exec("node1", "ps", "-o", "state=", "-p", str(pid)).strip()
    groups = fleet.exec("node1", "cat", f"/proc/{pid}/cgroup").splitlines()
    (group,) = [line.removeprefix("0::") for line in groups if line.startswith("0::")]
    mount = fleet.exec("node1", "findmnt", "-n", "-o", "TARGET", "-t", "cgroup2").split()[0]
    return state == "T" or "frozen 1" in fleet.exec("node1", "cat", f"{mount}{group}/cgroup.events")
