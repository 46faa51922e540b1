"""Stopped means gone: whatever ranks did, no process, shared memory or port of theirs is left on any host."""

from pathlib import Path

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, SCRIPTS, Fleet
from tests.system.fleet import gang, until

FOR_EVER = 10**9
LIMITS = {"unreachable_after": "1500ms", "lost_by_peers": "3s", "lost_after": "5s"}
ALL = 5 + 5 + 1  # of one rank: the processes of stubborn.py, the shared memory of each, the port of the daemon


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of one slot each, whose silence is judged soon."""
    return boot(daemon={"limits": LIMITS}, agent={"slots": 1})


def left(fleet: Fleet, name: str) -> list[str]:
    """Name what is left of a job on all hosts: its ranks have `name` in their command lines, or ports of their own.

    Its agent finds the same of the port of its world, and would have said so.
    """
    found = []
    for node in fleet.nodes:
        found += [f"{node}: {each}" for each in fleet.processes(node) if name in each.argv]
        found += [f"{node}: {path}" for path in Path(fleet.root(node), "dev/shm").iterdir() if name in path.name]
        listening = fleet.exec(node, "ss", "-Hltn", "sport >= :20000 and sport <= :31009")
        found += [f"{node}: {line}" for line in listening.splitlines()]
        found += [line for line in fleet.journal(node, AGENT, "-o", "cat").splitlines() if "is still taken" in line]
    return found


def begin(fleet: Fleet, name: str, nnodes: str, steps: int = FOR_EVER) -> int:
    """Start a job of stubborn ranks, and wait until all that they want to leave behind is there."""
    shape = ("--nnodes", nnodes, "--nproc-per-node", "1", "--shutdown-timeout", "1")
    job = fleet.submit(*shape, str(SCRIPTS / "stubborn.py"), str(steps), name)
    fleet.until_stepping(job)
    if steps == FOR_EVER:
        until(lambda: len(left(fleet, name)), lambda count: count == 2 * ALL)
    return job


def test_after_a_cancel(fleet: Fleet) -> None:
    job = begin(fleet, "cancelled", "2")
    fleet.client.cancel(job)
    assert fleet.until_over(job).state == "cancelled"
    assert left(fleet, "cancelled") == []


def test_after_a_success(fleet: Fleet) -> None:
    job = begin(fleet, "finished", "2", steps=20)
    assert fleet.until_over(job).state == "succeeded"
    assert left(fleet, "finished") == []


def test_before_the_next_round_and_after_a_hosts_return(fleet: Fleet) -> None:
    """A range shrinks when a node is cut off; back again, it ends what it had of the round before."""
    job = begin(fleet, "returned", "1:2")
    stale, survivor = (rank.node for rank in gang(fleet.client.job(job)).ranks)
    fleet.partition(stale)
    fleet.until_stepping(job, 2)
    assert sum(survivor in each for each in left(fleet, "returned")) <= ALL
    fleet.heal(stale)
    until(lambda: [each for each in left(fleet, "returned") if stale in each], lambda still: not still)
    fleet.client.cancel(job)
    assert fleet.until_over(job).state == "cancelled"
    assert left(fleet, "returned") == []
