"""Hosts to measure on: the fleet of tests/fleet, its ranks started by systemd; and what the log says of a job."""

import compileall
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fleet.bed import missing
from tests.fleet.harness import Fleet
from tests.system.fleet import ROOT


@contextmanager
def hosts(nodes: int, daemon: dict[str, object] | None = None, **agent: Any) -> Iterator[Fleet]:
    """Boot a daemon's host and so many agents', with these settings; all others are as shipped."""
    if why := missing():
        sys.exit(f"benchmarks/fleet.py: {why}")
    for package in ("dlroverd", "agent/dlroverd_agent"):  # as an installed release is
        compileall.compile_dir(ROOT / package, quiet=2)
    with tempfile.TemporaryDirectory(prefix="fleet-bench-", dir="/var/tmp") as folder:
        shared = Path(folder) / "shared"
        shared.mkdir()
        fleet = Fleet(Path(f"/run/fleet-bench-{os.getpid()}"), shared)
        try:
            fleet.boot(nodes, daemon=daemon or {}, agent={"launcher": "systemd", **agent})
            yield fleet
        finally:
            fleet.close()


def recorded(fleet: Fleet, job: int, *names: str) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """Give the daemon's records of a job: when each was made, its event's name and its body."""
    for event in fleet.client.events(job=job, names=names):
        yield event.time, event.name, json.loads(event.body)


def moved_at(fleet: Fleet, job: int, on: str) -> float:
    """Tell when a job's gang first took a row of its table, such as `all_running`."""
    return next(at for at, _, body in recorded(fleet, job, "gang_moved") if body["on"] == on)


def finish(fleet: Fleet, job: int) -> None:
    """Cancel a job, and wait until it is over."""
    fleet.client.cancel(job)
    fleet.until_over(job)
