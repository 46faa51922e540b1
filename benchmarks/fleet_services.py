"""The services themselves: what training notices of their restart, and what the agent takes when nothing happens."""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

from figures import Figure, compare, within
from fleet_hosts import finish, hosts

from tests.fleet.harness import AGENT, CTL, DAEMON, Fleet
from tests.fleet.measures import back_s, reconnected_s
from tests.system.fleet import SCRIPTS

WINDOW_S, REST_S = 3.0, 30.0
BACK_LIMIT_S, STEP_LIMIT, CPU_LIMIT, MEMORY_LIMIT_MIB = 1.0, 2.0, 0.01, 100.0
_RANK = str(Path(__file__).with_name("takeover_rank.py"))
_TICKS = os.sysconf("SC_CLK_TCK")


def restarts(runs: int) -> Iterator[Figure]:
    """Each service restarted, and killed, under a job of two hosts: how soon it is back, and the longest step then.

    All hosts share this machine's processors: a service that starts takes some of what the ranks compute with, which
    the daemon of a fleet, on a host of its own, does not.
    """
    with hosts(2, slots=1) as fleet:
        notes = fleet.shared / "notes"
        job = fleet.submit("--nnodes", "2", "--nproc-per-node", "1", _RANK, str(notes), "1000000")
        fleet.until_stepping(job)
        before = fleet.ranks(job)
        for host, unit, back in (("node1", AGENT, "adopted"), (CTL, DAEMON, "serving")):
            for how in ("restarted", "killed"):
                taken = [_end(fleet, host, unit, how, notes) for _ in range(runs)]
                name = f"{unit.removesuffix('.service')} {how}"
                yield within(f"{name} to {back} [s]", [each[0] for each in taken], BACK_LIMIT_S)
                if unit == DAEMON:
                    again = [each[1] for each in taken]
                    yield within(f"{name}: serving to every agent connected [s]", again, BACK_LIMIT_S)
                longest, quiet = [each[2] for each in taken], [each[3] for each in taken]
                yield within(f"{name}: longest step [medians]", longest, STEP_LIMIT)
                yield compare(f"{name}: longest step [medians]", longest, "left alone", quiet)
        if fleet.ranks(job) != before:
            raise RuntimeError("the job did not survive the restarts")
        finish(fleet, job)


def _end(fleet: Fleet, host: str, unit: str, how: str, notes: Path) -> tuple[float, float, float, float]:
    quiet = time.monotonic()
    time.sleep(WINDOW_S)
    since, began = time.time(), time.monotonic()
    if how == "killed":
        fleet.exec(host, "kill", "-KILL", str(fleet.main_pid(host, unit)))
    else:
        fleet.exec(host, "systemctl", "restart", unit)
    # What is read below takes a processor for itself, and is in the journals as well afterwards.
    time.sleep(max(0.0, began + WINDOW_S - time.monotonic()))
    back = back_s(fleet, host, unit, since)
    again = reconnected_s(fleet, since) if unit == DAEMON else 0.0
    fleet.until_ready()
    done = [float(line) for line in notes.read_text().splitlines()]
    return back, again, _longest(done, began), _longest(done, quiet)


def _longest(done: Sequence[float], since: float) -> float:
    """Give the longest of the steps that began within a window, in medians of all steps."""
    spans = [(before, after - before) for before, after in pairwise(done)]
    return max(span for at, span in spans if since <= at < since + WINDOW_S) / median(span for _, span in spans)


def rest(runs: int) -> Iterator[Figure]:
    """The agent's share of a processor and its memory, with nothing to do and with 8 ranks of 100 lines a second."""
    with hosts(1, slots=8) as fleet:
        process = fleet.root("node1") / "proc" / str(fleet.main_pid("node1", AGENT))
        shares = [_share(process) for _ in range(runs)]
        yield within("agent at rest: share of a processor", shares, CPU_LIMIT)
        yield from _memory(process, "at rest")
        job = fleet.submit("--nproc-per-node", "8", str(SCRIPTS / "steps.py"))
        fleet.until_stepping(job)
        busy = [_share(process) for _ in range(runs)]
        yield compare("agent with 8 ranks: share of a processor", busy, "at rest", shares)
        yield from _memory(process, "with 8 ranks")
        finish(fleet, job)


def _memory(process: Path, when: str) -> Iterator[Figure]:
    for name in ("Pss", "Rss"):
        yield within(f"agent {when}: {name.upper()} [MiB]", [_mib(process / "smaps_rollup", name)], MEMORY_LIMIT_MIB)


def _share(process: Path) -> float:
    used = []
    for pause_s in (REST_S, 0.0):
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        used.append((int(fields[11]) + int(fields[12])) / _TICKS)
        time.sleep(pause_s)
    return (used[1] - used[0]) / REST_S


def _mib(rollup: Path, name: str) -> float:
    (line,) = (line for line in rollup.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024
