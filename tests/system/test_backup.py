"""A daemon that goes on from an old copy of its state: real agents and jobs that went on meanwhile."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlroverd.model.view import JobView
from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until_ended

STEPS = str(SCRIPTS / "steps.py")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fleet]:
    """Make a fleet of two nodes whose daemon's configuration names its state directory."""
    made = Fleet(tmp_path, daemon={"state_dir": str(tmp_path / "daemon")})
    made.start(2, 2)
    yield made
    made.close()


def train(here: Fleet) -> tuple[int, JobView]:
    """Have a job train on two ranks of one node."""
    job = here.submit("--nproc-per-node", "2", STEPS)
    return job, here.until_stepping(job)


def test_an_old_copy_is_restored_and_no_job_notices(here: Fleet, tmp_path: Path) -> None:
    config, file = ("--config", str(tmp_path / "daemon.yaml")), str(tmp_path / "copy")
    first, _ = train(here)
    waits = here.submit("--nproc-per-node", "2", "--nnodes", "2", STEPS, "--steps", "10")
    done = here.ctl("state", "backup", file, *config)
    assert "its owner's alone" in done.stderr
    assert "no differences" in here.ctl("state", "check").stderr
    assert (os.stat(file).st_mode & 0o777, done.stdout) == (0o600, "")

    here.client.restart(first)
    here.client.cancel(waits)
    moved_on = pids(here.until_stepping(first, round_=2))
    second, view = train(here)
    submitted_since = pids(view)

    refused = here.ctl("state", "restore", file, *config, "--force", code=1)
    assert "in use by another daemon" in refused.stderr
    here.daemon.stop(signal.SIGKILL)
    assert "say --force" in here.ctl("state", "restore", file, *config, code=1).stderr
    assert "log.db.replaced-" in here.ctl("state", "restore", file, *config, "--force").stderr
    here.daemon.start()

    here.until_nodes(lambda views: [view.state for view in views] == ["ready", "ready"])
    assert (pids(here.client.job(first)), gang(here.client.job(first)).round) == (moved_on, 2)
    assert (here.client.job(second).state, pids(here.client.job(second))) == ("running", submitted_since)
    unsure = here.client.job(waits)
    assert (unsure.state, f"job cancel {waits}" in unsure.reason) == ("suspended", True)
    checked = json.loads(here.ctl("state", "check", "-o", "json", code=1).stdout)["differences"]
    assert [(row["where"], row["kind"]) for row in checked if not row["mended"]] == [(f"job {waits}", "unconfirmed")]

    here.client.restart(first)
    assert gang(here.until_stepping(first, round_=3)).round == 3
    for pid in moved_on:
        until_ended(pid)
    here.client.cancel(first)
    here.client.cancel(second)
    here.client.resume(waits)
    over = here.until_over(waits)
    assert (over.state, gang(over).round) == ("succeeded", 1001)
    assert here.submit(STEPS, "--steps", "1") > 10_000
    here.daemon.stop()
    here.daemon.start()
    assert here.client.job(second).state == "cancelled", "that it was restored is said again, and changes nothing"
