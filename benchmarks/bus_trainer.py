"""The trainer's side of the bus: what an event costs it, beside DLRover's emitter and beside `logging` to a file.

Each is measured in a process of its own (bus_emitters.py), all in turn in each run, with their files on tmpfs, where an
agent has them too. A time is that of one call, with the 0.1 us that looking at the clock twice takes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from figures import Figure, compare, within

PROGRESS_LIMIT_US, EVENT_LIMIT_US, EVENT_P99_LIMIT_US = 2.0, 5.0, 20.0
CALLS = 20_000
_EMITTERS = Path(__file__).with_name("bus_emitters.py")
_TMPFS = "/dev/shm"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way to say something costs (microseconds), and how many calls it took for each line in its file."""

    p50: float
    p99: float
    calls_per_line: float


def in_the_trainer(options: argparse.Namespace) -> Iterator[Figure]:
    """Compare progress, events and spans of ours with their limits and with the others."""
    ways = {"progress": sys.executable, "event": sys.executable, "span": sys.executable, "logging": sys.executable}
    if options.dlrover:
        ways |= {"dlrover": options.dlrover, "dlrover async": options.dlrover}
    costs: dict[str, list[Cost]] = {way: [] for way in ways}
    for _ in range(options.runs):
        for way, python in ways.items():
            costs[way].append(_cost(way, python))
    p50 = {way: [each.p50 for each in seen] for way, seen in costs.items()}
    p99 = {way: [each.p99 for each in seen] for way, seen in costs.items()}
    lost = {way: [each.calls_per_line for each in seen] for way, seen in costs.items()}
    yield within("progress, p50 [us]", p50["progress"], PROGRESS_LIMIT_US)
    yield within("an event, p50 [us]", p50["event"], EVENT_LIMIT_US)
    yield within("an event, p99 [us]", p99["event"], EVENT_P99_LIMIT_US)
    yield within(f"a burst of {CALLS} events: calls per line", lost["event"], 1.0)
    yield compare("a span, begin and end, p50 [us]", p50["span"], "an event", p50["event"])
    for other in ways:
        if other in ("logging", "dlrover", "dlrover async"):
            yield compare("an event, p50 [us]", p50["event"], other, p50[other])
            yield compare("an event, p99 [us]", p99["event"], other, p99[other])
            yield compare(f"a burst of {CALLS} events: calls per line", lost["event"], other, lost[other])


def _cost(way: str, python: str) -> Cost:
    with tempfile.TemporaryDirectory(dir=_TMPFS) as folder:
        env = {**os.environ, "FOLDER": folder, "DLROVERD_EVENTS_FILE": f"{folder}/events"}
        env |= {"DLROVERD_PROGRESS_FILE": f"{folder}/progress", "DLROVER_EVENT_FILE_DIR": folder}
        env |= {"DLROVER_EVENT_ASYNC_EXPORTER": str(way == "dlrover async"), "DLROVER_EVENT_TEXT_FORMATTER": "JSON"}
        p50, p99 = json.loads(_output(python, way, "timed", env))
        for file in Path(folder).iterdir():
            file.unlink()
        _output(python, way, "burst", env)
        if way in ("progress", "span"):
            return Cost(p50, p99, 1.0)
        lines = sum(file.read_bytes().count(b'"step"') for file in Path(folder).iterdir())
    return Cost(p50, p99, CALLS / lines)


def _output(python: str, way: str, what: str, env: dict[str, str]) -> str:
    command = [python, str(_EMITTERS), way, what, str(CALLS)]
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
