"""What ranks tell so often that it never enters the log: how long steps take, and the gauges of users."""

from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventKind, SpooledEvent
from dlroverd.model.telemetry import Sample
from dlroverd_agent.events.lines import value_of

STEP, STEPS, WORK = "trainer.step", "trainer.steps", "trainer.work"
_TELEMETRY = frozenset({STEP, "trainer.substep", "trainer.predict_step"})
_MOST_GAUGES = 32
_LOSS = "user.loss"
# Steps that were begun and whose end was not told.
_MOST_OPEN = 16
# What a rank says of its work between two readings.
_MOST_WORKED = 1024


class Reading(NamedTuple):
    """What telemetry needs of an event. `at` is the rank's monotonic clock; `value` is a gauge's, if it has one.

    `of`: of how many that is the mean.
    """

    name: str
    kind: EventKind
    span: str
    at: float
    value: float | None
    of: int = 1


def reading_of(event: SpooledEvent) -> Reading | None:
    """Give the reading that an event is; None if it is one to be kept."""
    if event.kind is not EventKind.GAUGE and event.name not in _TELEMETRY:
        return None
    value, count = value_of(event)
    return Reading(event.name, event.kind, event.span, event.monotonic, value, count)


@dataclass(slots=True)
class _Rank:
    """What one rank told since the last `take`; times are its monotonic clock. `last`: the end of its newest step."""

    open: dict[str, float] = field(default_factory=dict)
    last: float | None = None
    timed: int = 0
    spent_s: float = 0.0
    worked: list[float] = field(default_factory=list)
    gauges: dict[str, float] = field(default_factory=dict)
    over: bool = False

    def step(self, told: Reading) -> None:
        at = told.at
        if told.kind is EventKind.BEGIN:
            while len(self.open) >= _MOST_OPEN:
                del self.open[next(iter(self.open))]
            self.open[told.span] = at
            return
        # A step told as an instant is as long as the time since the one before it.
        began = self.open.pop(told.span, None) if told.kind is EventKind.END else self.last
        if began is not None and at >= began:
            self.timed += 1
            self.spent_s += at - began
        self.last = at

    def samples(self, rank: RankKey) -> list[Sample]:
        values = dict(self.gauges)
        if _LOSS in values:  # what everybody calls so has a metric of its own
            values["rank_loss"] = values.pop(_LOSS)
        if self.timed:
            values["rank_step_seconds"] = self.spent_s / self.timed
        if self.worked:
            values["rank_work_seconds"] = sum(self.worked) / len(self.worked)
        self.gauges, self.timed, self.spent_s, self.worked = {}, 0, 0.0, []
        return [Sample(metric=name, value=value, rank=rank) for name, value in values.items()]


class Readings:
    """The newest readings of the ranks of this node. `note` is for the reader's thread, the rest for anyone."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ranks: dict[RankKey, _Rank] = {}
        self._lock = Lock()

    def note(self, rank: RankKey, told: Reading) -> None:
        """Take a reading. Of gauges with more names than a rank may have, those that came first are kept."""
        with self._lock:
            known = self._ranks.setdefault(rank, _Rank())
            if told.name == STEP:
                known.step(told)
                return
            if told.value is None or told.kind is not EventKind.GAUGE:
                return
            if told.name == STEPS and told.value >= 0:
                known.timed += told.of
                known.spent_s += told.value * told.of
            if told.name == WORK and len(known.worked) < _MOST_WORKED:
                known.worked.append(told.value)
            if not told.name.startswith("user."):
                return
            if told.name in known.gauges or len(known.gauges) < _MOST_GAUGES:
                known.gauges[told.name] = told.value

    def end(self, rank: RankKey) -> None:
        """Drop a rank that is gone once its last readings are taken."""
        with self._lock:
            if rank in self._ranks:
                self._ranks[rank].over = True

    def take(self) -> list[Sample]:
        """Give what came since the last call: means of steps and work, `rank_loss`, and `user.*` gauges."""
        with self._lock:
            samples = [sample for rank, known in self._ranks.items() for sample in known.samples(rank)]
            self._ranks = {rank: known for rank, known in self._ranks.items() if not known.over}
            return samples
