"""Ranks that come and go: how soon the daemon knows of an end, what 64 starts cost, and what a world's check does."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, compare, p99, within
from fleet_hosts import finish, hosts, moved_at, recorded

from tests.fleet.harness import Fleet
from tests.system.fleet import SCRIPTS

EXITS, APART_S, EXIT_LIMIT_S = 50, 0.05, 0.020
STARTS = 64
_EXIT_RANK = str(Path(__file__).with_name("fleet_exit_rank.py"))
# Starts them as any launcher without supervision would; Popen returns once the program was executed.
_PLAIN = """
import subprocess, time
before = time.time()
started = [subprocess.Popen(["/usr/bin/sleep", "1000"]) for _ in range({starts})]
print(time.time() - before)
for each in started: each.kill()
"""


def exits(runs: int) -> Iterator[Figure]:
    """Rank exit to daemon knows: from the clock right before the process's end to the record in the daemon's log."""
    with hosts(1, slots=EXITS) as fleet:
        taken = [_exits(fleet, fleet.shared / f"run{run}") for run in range(runs)]
    yield within("rank exit to daemon knows, p50 [s]", [each for run in taken for each in run], EXIT_LIMIT_S)
    yield within("rank exit to daemon knows, p99 of a run [s]", [p99(run) for run in taken], EXIT_LIMIT_S)


def _exits(fleet: Fleet, folder: Path) -> list[float]:
    folder.mkdir()
    job = fleet.submit("--nnodes", "1", "--nproc-per-node", str(EXITS), _EXIT_RANK, str(folder), str(APART_S))
    fleet.until_job(job, lambda view: view.state == "running")
    new = folder / "new"
    new.write_text(str(time.time() + 2.0))
    new.rename(folder / "go")
    fleet.until_over(job)
    known: dict[int, float] = {}
    for at, _, body in recorded(fleet, job, "ranks_seen"):
        for seen in body["ranks"]:
            if seen["state"] in ("exited", "gone"):
                known.setdefault(seen["key"]["rank"], at)
    return [known[rank] - float((folder / f"{rank}.ended").read_text()) for rank in range(EXITS)]


def starts(runs: int) -> Iterator[Figure]:
    """Start of 64 ranks on one host, from the world's record until all are known to run, beside plain fork and exec."""
    taken: dict[str, list[float]] = {"systemd": [], "process": []}
    plain: list[float] = []
    with hosts(1, slots=STARTS) as fleet:
        for launcher, samples in taken.items():
            fleet.reconfigure("node1", launcher=launcher)
            fleet.until_ready()
            for _ in range(runs):
                plain.append(float(fleet.exec("node1", sys.executable, "-c", _PLAIN.format(starts=STARTS))))
                words = ("--nproc-per-node", str(STARTS), "--workdir", "/", "--no-python", "/usr/bin/sleep", "1000")
                job = int(fleet.ctl("submit", "--parsable", *words))
                fleet.until_job(job, lambda view: view.state == "running")
                samples.append(moved_at(fleet, job, "all_running") - moved_at(fleet, job, "formed"))
                finish(fleet, job)
    for launcher, samples in taken.items():
        yield compare(f"{STARTS} ranks started, {launcher} launcher [s]", samples, "plain fork", plain)


def checks(runs: int) -> Iterator[Figure]:
    """Submit to all ranks run, on two hosts, with the check of a new world and without it."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    with hosts(2, slots=1) as fleet:
        for checked, samples in taken.items():
            if not checked:  # an agent that does not listen to its peers can not be checked
                for node in fleet.nodes:
                    fleet.reconfigure(node, peer_listen="none")
                fleet.until_ready()
            for _ in range(runs):
                job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", str(SCRIPTS / "steps.py"))
                fleet.until_job(job, lambda view: view.state == "running")
                submitted = next(at for at, _, _ in recorded(fleet, job, "job_submitted"))
                if bool(list(recorded(fleet, job, "world_cleared"))) is not checked:
                    raise RuntimeError(f"job {job}: a check was wanted: {checked}, and it was otherwise")
                samples.append(moved_at(fleet, job, "all_running") - submitted)
                finish(fleet, job)
    yield compare("submit to all ranks run, world checked [s]", taken[True], "not checked", taken[False])
