"""Ranks outlive what supervises them: the daemon and the agent killed under a real torch job, and a wiped log."""

import shutil
import signal
from collections.abc import Callable

from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until_ended

Fleets = Callable[..., Fleet]
ALLREDUCE = str(SCRIPTS / "allreduce.py")


def logged_whole(here: Fleet, job: int, steps: int, first: int = 1) -> None:
    """See that the output of each rank is complete and in order, from its `first` step on."""
    for rank in (0, 1):
        lines = here.ctl("logs", str(job), "--rank", str(rank)).stdout.splitlines()
        assert lines == [*(f"step {step}" for step in range(first, first + steps)), f"rank {rank} has finished"]


def test_the_daemon_is_killed_and_the_job_does_not_notice(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "250")
    before = pids(here.until_stepping(job))
    for _ in range(2):
        here.daemon.stop(signal.SIGKILL)
        here.daemon.start()
    assert pids(here.client.job(job)) == before
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    logged_whole(here, job, 250)


def test_the_agent_is_killed_and_adopts_its_ranks(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "250")
    before = pids(here.until_stepping(job))
    here.agents["n1"].stop(signal.SIGKILL)
    here.agents["n1"].start()
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    assert pids(over) == before
    logged_whole(here, job, 250)


def test_ranks_that_end_while_both_are_away_are_not_forgotten(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "30")
    before = here.until_stepping(job)
    here.daemon.stop(signal.SIGKILL)
    here.agents["n1"].stop(signal.SIGKILL)
    for pid in pids(before):
        until_ended(pid)
    here.daemon.start()
    here.agents["n1"].start()
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).step) == ("succeeded", 0, 30)
    logged_whole(here, job, 30)


def test_a_wiped_log_kills_nothing_and_the_job_is_adopted(fleet: Fleets) -> None:
    here = fleet()
    job = here.submit("--nproc-per-node", "2", ALLREDUCE, "400")
    before = pids(here.until_stepping(job))
    here.daemon.stop(signal.SIGKILL)
    shutil.rmtree(here.state_dir)
    here.daemon.start()
    (node,) = here.until_nodes(lambda views: bool(views and views[0].orphans))
    assert node.state == "foreign"
    assert node.orphans == tuple(f"{job}/trainer/0@1#{rank}" for rank in (0, 1))
    assert "dlroverctl node adopt n1" in node.reason

    here.ctl("node", "adopt", "n1")

    here.until_nodes(lambda views: views[0].state == "ready")
    assert pids(here.client.job(job)) == before
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    assert here.client.nodes()[0].orphans == ()
    logged_whole(here, job, 400)
