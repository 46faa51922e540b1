"""The newest readings of the fleet, in memory of a bounded size. Soft: they end with the daemon, and come anew within
seconds. No decision of the core's looks at them.

A node's readings are kept under its own name, whatever they say of whose they are, so that a node can only speak for
itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.metrics import ALL, MOST_SAMPLES, is_known, is_sane
from dlroverd.model.world import Progress
from dlroverd.runtime.series import SERIES_BYTES, Series

# What a reading is of: "" is the host, other text a device.
Subject = str | RankKey | GangKey
Reading = tuple[str, float, Subject]

# A clock further off than this is wrong, or was: the daemon's own counts then. So it is if one goes back this far.
_CLOCK_LIMIT_S = 60.0
# An agent sends each 15 s; one that sends more often than each second is broken.
_LEAST_GAP_S = 0.5
# No series gives way to another one while it is read.
_IDLE_S = 120.0
_FORGET_S = 86400.0
# To look for room looks at everything.
_LOOK_GAP_S = 10.0
# A host of 16 devices and 256 ranks has 1,400, and as many again of the round before.
_MOST_OF_NODE = 4096
_NAMES = {metric.name: metric.name for metric in ALL}


@dataclass(slots=True)
class _Kept:
    """All series of one thing."""

    series: dict[str, Series]
    at: float


class _Node:
    """The things of one node, those read longest ago first."""

    __slots__ = ("asked_at", "at", "full_at", "kept", "said_at", "series")

    def __init__(self) -> None:
        self.kept: dict[Subject, _Kept] = {}
        self.series = 0
        self.asked_at = 0.0  # the agent's clock, in its last message
        self.said_at = 0.0  # the daemon's, when it came
        self.at = 0.0  # what was made of both
        self.full_at = -1.0  # the message for which no room was found


class TelemetryStore:
    """Series by node, thing and metric; those of jobs are under the node ""."""

    def __init__(self, limit_bytes: int) -> None:
        """Keep at most as many series as fit into `limit_bytes`."""
        self.most_series = max(1, limit_bytes // SERIES_BYTES)
        self.series = 0
        self.taken = 0
        self.dropped: Counter[str] = Counter()
        self._nodes: dict[str, _Node] = {}
        self._steps: dict[GangKey, Progress] = {}
        self._swept_at = 0.0
        self._looked_at = 0.0

    def take(self, node: str, at: float, readings: Iterable[Reading], now: float) -> None:
        """Take what a node's agent read at `at` by its own clock; what makes no sense is dropped and counted."""
        known = self._nodes.get(node)
        if known is None:
            known = self._nodes[node] = _Node()
        if 0.0 <= now - known.said_at < _LEAST_GAP_S:
            self.dropped["too_often"] += 1
            return
        if -_CLOCK_LIMIT_S < at - known.asked_at <= 0.0:
            self.dropped["late"] += 1
            return
        known.asked_at, known.said_at = at, now
        # Within a series time does not go back: what a clock that was set has to say of the past counts as now.
        known.at = max(known.at, at if abs(at - now) <= _CLOCK_LIMIT_S else now)
        self._sweep(now)
        touched: set[Subject] = set()
        for number, (metric, value, subject) in enumerate(readings):
            if number >= MOST_SAMPLES:
                self.dropped["too_many"] += 1
                break
            name = _NAMES.get(metric)
            if name is None and not is_known(metric):
                self.dropped["unknown"] += 1
            elif not is_sane(metric, value):
                self.dropped["not_sane"] += 1
            else:
                self._add(known, subject, name or metric, value)
                touched.add(subject)
        for subject in touched & known.kept.keys():
            known.kept[subject] = known.kept.pop(subject)  # to the end: it was read last

    def stepped(self, progress: Progress, now: float) -> None:
        """Make a job's pace of where its world is."""
        key = progress.round.gang_key
        last = self._steps.get(key)
        again = last is not None and last.round == progress.round
        if last is not None and again and (progress.step <= last.step or progress.at <= last.at):
            return  # said twice
        self._steps[key] = progress
        if last is None or not again:
            return
        pace = (progress.step - last.step) / (progress.at - last.at)
        jobs = self._nodes.setdefault("", _Node())
        jobs.at = max(jobs.at, now)
        if is_sane("job_steps_per_second", pace):
            self._add(jobs, key, "job_steps_per_second", pace)

    def of(self, node: str, subject: Subject) -> Mapping[str, Series]:
        """Give the series of one thing of a node, by metric."""
        known = self._nodes.get(node)
        kept = known.kept.get(subject) if known is not None else None
        return kept.series if kept is not None else {}

    def said_at(self, node: str) -> float:
        """Give when a node's newest message was read, by the times of its series; 0 if there was none."""
        known = self._nodes.get(node)
        return known.at if known is not None else 0.0

    def forget(self, job: int) -> None:
        """Drop the pace of a job that left the state."""
        self._steps = {key: progress for key, progress in self._steps.items() if key.job != job}

    def _add(self, node: _Node, subject: Subject, metric: str, value: float) -> None:
        kept = node.kept.get(subject)
        series = kept.series.get(metric) if kept is not None else None
        if series is None:
            if not self._room(node):
                self.dropped["no_room"] += 1
                return
            if kept is None:
                kept = node.kept[subject] = _Kept({}, node.at)
            series = kept.series[metric] = Series()
            node.series += 1
            self.series += 1
        if kept is not None:
            kept.at = node.at
        series.add(node.at, value)
        self.taken += 1

    def _room(self, node: _Node) -> bool:
        """See that a node may have one series more, if need be by forgetting what was read longest ago."""
        if node.full_at == node.at:  # looked for once a message
            return False
        if node.series >= _MOST_OF_NODE and not self._forget_of(node, node.at - _IDLE_S, _MOST_OF_NODE // 8):
            node.full_at = node.at
        if self.series >= self.most_series:
            self._make_room(node.at)
        return node.series < _MOST_OF_NODE and self.series < self.most_series

    def _make_room(self, now: float) -> None:
        """Forget a tenth of all, oldest first, of what is not read any more. Seldom: it looks at everything."""
        if now - self._looked_at < _LOOK_GAP_S:
            return
        self._looked_at = now
        idle = sorted(
            (kept.at, name) for name, node in self._nodes.items() for kept in node.kept.values() if _idle(kept, now)
        )
        surplus = self.series - self.most_series * 9 // 10
        for at, name in idle:
            if surplus <= 0:
                break
            surplus -= self._forget_of(self._nodes[name], at, surplus)

    def _sweep(self, now: float) -> None:
        """Forget what has had no reading for a day, each hour."""
        if now - self._swept_at < _FORGET_S / 24:
            return
        self._swept_at = now
        for name in list(self._nodes):
            node = self._nodes[name]
            self._forget_of(node, now - _FORGET_S, node.series)
            if not node.kept and now - node.said_at > _FORGET_S:
                del self._nodes[name]

    def _forget_of(self, node: _Node, before: float, enough: int) -> int:
        """Forget a node's things that were read last at `before` or earlier; how many series that were."""
        forgotten = 0
        for subject in [subject for subject, kept in node.kept.items() if kept.at <= before]:
            if forgotten >= enough:
                break
            forgotten += len(node.kept.pop(subject).series)
        node.series -= forgotten
        self.series -= forgotten
        return forgotten


def _idle(kept: _Kept, now: float) -> bool:
    return now - kept.at > _IDLE_S
