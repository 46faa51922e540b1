"""A host that only the daemon cannot reach, while its gang goes on elsewhere."""

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import AGENT, CTL, Fleet
from tests.system.fleet import SCRIPTS, gang, until

# Silence is given up on at once, though the node's peers reach it: what follows of that is shown here, not the wait.
LIMITS = {"unreachable_after": "3s", "lost_by_peers": "3.5s", "lost_after": "4s", "unreachable_limit": "10s"}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """One node more than the gang needs."""
    return boot(3, daemon={"limits": LIMITS}, agent={"slots": 1, "launcher": "process"})


@pytest.mark.parametrize("killed", [False, True], ids=["its_agent_lives", "its_agent_was_killed"])
def test_its_ranks_are_stopped_on_a_peers_word(fleet: Fleet, killed: bool) -> None:
    job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "steps.py"))
    fleet.until_stepping(job)
    ranks = {rank: (node, process.pid) for (node, rank), process in fleet.ranks(job).items()}
    (master, _), (cut_off, stale) = ranks[0], ranks[1]
    fleet.partition(cut_off, peers=[CTL])
    if killed:
        fleet.exec(cut_off, "kill", "-9", str(fleet.main_pid(cut_off, AGENT)))
    fleet.until_nodes(lambda views: {view.id: view.state for view in views}[cut_off] == "lost")
    assert stale in {process.pid for process in fleet.of_job(cut_off, job)}  # that alone stops nothing
    view = fleet.until_stepping(job, round_=2)
    assert cut_off not in {rank.node for rank in gang(view).ranks}
    until(lambda: fleet.of_job(cut_off, job), lambda left: not left)
    assert f"node {master} says that round 1 of {job}/trainer/0 is over" in fleet.journal(cut_off, AGENT)
    fleet.heal(cut_off)
    fleet.until_ready()
    view = fleet.client.job(job)
    assert (gang(view).round, view.state) == (2, "running")
