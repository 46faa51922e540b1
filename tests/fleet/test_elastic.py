"""A job with a range of nodes, on real hosts: one dies and comes back, and another time the job makes room."""

from pathlib import Path

import pytest

from tests.fleet.conftest import Boot
from tests.fleet.harness import Fleet
from tests.system.fleet import gang, until

SAVINGS = Path(__file__).parents[1] / "system" / "scripts" / "savings.py"
LIMITS = {
    "unreachable_after": "1500ms",
    "lost_by_peers": "3s",
    "lost_after": "5s",
    "unreachable_limit": "6s",
    "grow_settle": "500ms",
    "grow_cooldown": "1s",
}


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """Two nodes of one slot each, whose silence is judged soon."""
    return boot(daemon={"limits": LIMITS}, agent={"slots": 1})


def save(fleet: Fleet, job: int, folder: Path) -> None:
    """Have the job make a checkpoint, and wait until the daemon knows of it."""
    known = sum(1 for _ in fleet.client.events(job=job, names=("checkpoint_seen",)))
    (folder / "save").touch()
    until(lambda: sum(1 for _ in fleet.client.events(job=job, names=("checkpoint_seen",))), lambda now: now > known)


def test_it_shrinks_when_a_host_dies_and_grows_at_a_checkpoint_when_it_is_back(fleet: Fleet) -> None:
    folder = fleet.shared / "savings"
    folder.mkdir()
    job = fleet.submit("--nnodes", "1:2", "--notice-signal", "USR1", str(SAVINGS), str(folder), "output")
    view = fleet.until_stepping(job)
    kept, dead = (rank.node for rank in gang(view).ranks)
    fleet.kill(dead)
    view = fleet.until_stepping(job, 2)
    assert [rank.node for rank in gang(view).ranks] == [kept]

    save(fleet, job, folder)
    fleet.start(dead)
    view = fleet.until_job(job, lambda view: view.plan is not None)
    assert (view.plan and view.plan.kind, gang(view).round) == ("grow", 2)
    save(fleet, job, folder)
    view = fleet.until_stepping(job, 3)
    assert [rank.node for rank in gang(view).ranks] == [kept, dead]
    assert (len(view.incidents), view.restarts_in_window) == (1, 0)
    said = fleet.ctl("logs", str(job), "--round", "all", "--no-prefix")
    assert "told: to go on with 1 more node" in said
    assert "ended: to go on with 1 more node" in said
    assert f"begins at {(folder / 'saved').read_text()} as one of 2" in said
