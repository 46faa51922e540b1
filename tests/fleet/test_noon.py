"""Restart and upgrade at noon: the agent and the daemon end under a running job on two hosts, which does not notice.

How long it took, and what it did to the job's steps, is printed: benchmarks/fleet.py holds these figures to targets.
"""

import re
import time

import pytest

from tests.fleet.bed import Process
from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, CTL_PROGRAM, DAEMON, SCRIPTS, Fleet
from tests.fleet.measures import back_s, longest_over_median, reconnected_s, steps
from tests.system.fleet import gang


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """node1 starts ranks as units of systemd, node2 as processes of its agent's own unit."""
    fleet = boot()
    for node, launcher in zip(fleet.nodes, ("systemd", "process"), strict=True):
        fleet.reconfigure(node, launcher=launcher)
    return fleet


@pytest.fixture
def job(fleet: Fleet) -> int:
    """A job of one rank on each of two hosts, in the midst of its steps."""
    number = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), "1000000")
    fleet.until_stepping(number)
    return number


@pytest.mark.parametrize("host", ["node1", "node2", CTL])
@pytest.mark.parametrize("how", ["restart", "SIGKILL"])
def test_the_job_does_not_notice(fleet: Fleet, job: int, host: str, how: str) -> None:
    unit = DAEMON if host == CTL else AGENT
    ranks, service = fleet.ranks(job), fleet.main_pid(host, unit)
    assert [AGENT in cgroup(fleet, node, each) for (node, _), each in sorted(ranks.items())] == [False, True]
    follower = fleet.spawn(CTL, CTL_PROGRAM, "logs", "-f", str(job))
    assert follower.stdout is not None
    said = follower.stdout.readline()

    since = time.time()
    if how == "restart":
        fleet.exec(host, "systemctl", "restart", unit)
    else:
        fleet.exec(host, "kill", "-KILL", str(service))

    figures = {"back_s": back_s(fleet, host, unit, since)}
    if unit == DAEMON:
        figures["agents_connected_s"] = reconnected_s(fleet, since)
    assert fleet.main_pid(host, unit) not in (0, service)
    fleet.until_ready()
    seen = fleet.client.job(job)
    assert [rank.state for rank in gang(seen).ranks] == ["running", "running"]
    assert fleet.ranks(job) == ranks
    fleet.until_job(job, lambda view: gang(view).step >= gang(seen).step + 20)
    assert fleet.ranks(job) == ranks

    before = fleet.client.job(job)
    assert (before.state, before.restarts, gang(before).round, before.incidents) == ("running", 0, 1, ())
    assert fleet.json("why", str(job))["incidents"] == []
    fleet.client.cancel(job)
    fleet.until_over(job)
    said += follower.stdout.read()
    for rank in (0, 1):
        done = list(steps(fleet, job, rank))
        assert [number for number, _ in done] == list(range(1, len(done) + 1))
        assert len(done) >= gang(before).step
        assert re.findall(rf"^\[.*rank{rank}\] step (\d+) at ", said, re.MULTILINE) == [str(step) for step, _ in done]
        figures[f"rank{rank}_longest_step_over_median"] = longest_over_median([at for _, at in done])
    print(figures)  # noqa: T201 - see above


def cgroup(fleet: Fleet, host: str, process: Process) -> str:
    """Give the control group of a process: the unit that it is part of."""
    return (fleet.root(host) / "proc" / str(process.pid) / "cgroup").read_text()
