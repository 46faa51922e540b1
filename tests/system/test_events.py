"""What ranks and agents say of themselves reaches the daemon's log once and in order, whoever is killed meanwhile."""

import json
import os
import signal
from collections.abc import Callable

from dlroverd.model.view import EventView
from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until

Fleets = Callable[..., Fleet]
EVENTS = str(SCRIPTS / "events.py")
STEPS = str(SCRIPTS / "steps.py")


def all_said(here: Fleet, job: int, ranks: int) -> int:
    """Wait until the log has all that the ranks of a job that is over said, once and in order; how many it was."""
    counts = [int(here.ctl("logs", str(job), "--rank", str(rank)).stdout) for rank in range(ranks)]
    left = dict(enumerate(counts))

    def look() -> dict[int, int]:
        for view in newest(here, job):
            if left.get(view.rank) == number_of(view):
                del left[view.rank]
        return left

    until(look, lambda missing: not missing)
    found: dict[int, list[int]] = {rank: [] for rank in range(ranks)}
    for view in here.client.events(job=job):
        if view.name == "user.tick":
            found[view.rank].append(number_of(view))
    assert found == {rank: list(range(1, count + 1)) for rank, count in enumerate(counts)}
    return sum(counts)


def newest(here: Fleet, job: int) -> list[EventView]:
    return list(here.client.events(job=job, limit=100))


def heard(here: Fleet, job: int) -> int:
    """Give the position of the newest of what a job's ranks said."""
    return max((view.position for view in newest(here, job) if number_of(view)), default=0)


def number_of(view: EventView) -> int:
    return int(json.loads(view.body)["number"]) if view.name == "user.tick" else 0


def test_daemon_and_agent_are_killed_under_load(fleet: Fleets) -> None:
    here = fleet()
    done = here.root / "done"
    job = here.submit("--nproc-per-node", "2", EVENTS, "0", "0.01", str(done))
    before = pids(here.until_job(job, lambda view: view.state == "running"))
    for program in (here.daemon, here.agents["n1"], here.daemon, here.agents["n1"]):
        until(lambda: heard(here, job), heard(here, job).__lt__)
        program.stop(signal.SIGKILL)
        program.start()
        here.until_nodes(lambda views: [view.state for view in views] == ["ready"])
    assert pids(here.client.job(job)) == before
    done.touch()
    over = here.until_over(job)
    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    assert all_said(here, job, ranks=2) > 200
    starts = [view for view in here.client.events(node="n1") if view.name == "agent.start"]
    assert [json.loads(view.body)["ranks_found_running"] for view in starts] == [0, 2, 2]
    here.agents["n1"].stop()
    here.agents["n1"].start()
    until(lambda: {view.name for view in here.client.events(node="n1", limit=10)}, {"agent.exit", "agent.start"}.__le__)
    # What was read is let go of, and the file of a rank that is gone removed.
    (folder,) = (here.root / "n1-run").iterdir()
    until(lambda: [each for each in folder.iterdir() if each.is_file()], lambda files: not files)


def test_a_flood_loses_nothing_and_disturbs_nobody(fleet: Fleets) -> None:
    here = fleet()
    other = here.submit("--nproc-per-node", "1", "--max-restarts", "3", STEPS)
    (pid,) = pids(here.until_stepping(other))
    job = here.submit("--nproc-per-node", "1", EVENTS, "20000", "0")
    until(lambda: heard(here, job), bool)
    os.kill(pid, signal.SIGKILL)
    here.until_stepping(other, round_=2)
    assert here.until_over(job).state == "succeeded"
    assert all_said(here, job, ranks=1) == 20000
