"""What a fault or a restart cost, read from the journals and from the steps that a job printed. All in seconds.

Tests print these figures; benchmarks/fleet.py holds them to their targets.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tests.fleet.harness import AGENT, CTL, DAEMON, Fleet
from tests.system.fleet import until

# How systemd's and our own lines say that a service has begun to end, and that it is back.
_ENDS = re.compile(r"^Stopping |: Main process exited, ")
_BACK = {AGENT: '"event": "connected"', DAEMON: '"event": "dlroverd serves"'}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a journal and when it was written."""

    at: float
    says: str


def lines(fleet: Fleet, host: str, unit: str, since: float) -> list[Line]:
    """Give what the journal of a unit has since a wall clock time."""
    entries = map(json.loads, fleet.journal(host, unit, "-o", "json").splitlines())
    every = [Line(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, str(entry["MESSAGE"])) for entry in entries]
    return [line for line in every if line.at >= since]


def back_s(fleet: Fleet, host: str, unit: str, since: float) -> float:
    """Wait until a service that was ended once after `since` is back; how long after the beginning of its end.

    Back is an agent when the daemon has welcomed it with the ranks that it found, a daemon when it serves.
    """

    def look() -> list[float]:
        written = lines(fleet, host, unit, since)
        ended = next((line.at for line in written if _ENDS.search(line.says)), float("inf"))
        return [line.at - ended for line in written if _BACK[unit] in line.says and line.at > ended]

    return until(look, bool)[0]


def reconnected_s(fleet: Fleet, since: float) -> float:
    """Wait until every agent is connected to a daemon that was ended after `since`; how long after it served again."""

    def look() -> list[float]:
        serves = [line.at for line in lines(fleet, CTL, DAEMON, since) if _BACK[DAEMON] in line.says]
        written = [lines(fleet, node, AGENT, serves[0]) for node in fleet.nodes] if serves else []
        return [next((line.at - serves[0] for line in each if _BACK[AGENT] in line.says), -1.0) for each in written]

    return max(until(look, lambda seen: min(seen, default=-1.0) >= 0))


def steps(fleet: Fleet, job: int, rank: int) -> Iterator[tuple[int, float]]:
    """Give the steps that a rank of scripts/ddp.py did, and when."""
    said = fleet.ctl("logs", str(job), "--rank", str(rank))
    for found in re.finditer(r"^step (\d+) at ([\d.]+)$", said, re.MULTILINE):
        yield int(found[1]), float(found[2])


def longest_over_median(times: Sequence[float]) -> float:
    """Give the longest time between two steps, over the median of them."""
    intervals = [later - earlier for earlier, later in pairwise(times)]
    return max(intervals) / median(intervals)
