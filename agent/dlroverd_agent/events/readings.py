"""What ranks tell so often that it never enters the log: how long steps take, and the gauges of users."""

from dataclasses import dataclass, field
from threading import Lock

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventKind, SpooledEvent
from dlroverd.model.telemetry import Sample
from dlroverd_agent.events.lines import reading

STEP = "trainer.step"
_TELEMETRY = frozenset({STEP, "trainer.substep", "trainer.predict_step"})
_MOST_GAUGES = 32
# Steps that were begun and whose end was not told.
_MOST_OPEN = 16


def is_reading(event: SpooledEvent) -> bool:
    """Tell whether an event is telemetry, which is not kept."""
    return event.kind is EventKind.GAUGE or event.name in _TELEMETRY


@dataclass(slots=True)
class _Rank:
    """What one rank told since the last `take`; times are its monotonic clock. `last`: the end of its newest step."""

    open: dict[str, float] = field(default_factory=dict)
    last: float | None = None
    since: float | None = None
    steps: int = 0
    timed: int = 0
    spent_s: float = 0.0
    gauges: dict[str, float] = field(default_factory=dict)
    over: bool = False

    def step(self, event: SpooledEvent) -> None:
        at = event.monotonic
        if event.kind is EventKind.BEGIN:
            while len(self.open) >= _MOST_OPEN:
                del self.open[next(iter(self.open))]
            self.open[event.span] = at
            return
        # A step told as an instant is as long as the time since the one before it.
        began = self.open.pop(event.span, None) if event.kind is EventKind.END else self.last
        if began is not None and at >= began:
            self.timed += 1
            self.spent_s += at - began
        self.steps += 1
        self.since = self.since if self.since is not None else began
        self.last = at

    def samples(self, rank: RankKey) -> list[Sample]:
        values = dict(self.gauges)
        if self.timed:
            values["step_seconds"] = self.spent_s / self.timed
        if self.steps and self.since is not None and self.last is not None and self.last > self.since:
            values["steps_per_second"] = self.steps / (self.last - self.since)
        self.gauges, self.steps, self.timed, self.spent_s, self.since = {}, 0, 0, 0.0, self.last
        return [Sample(metric=name, value=value, rank=rank) for name, value in values.items()]


class Readings:
    """The newest readings of the ranks of this node. `note` is for the reader's thread, the rest for anyone."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ranks: dict[RankKey, _Rank] = {}
        self._lock = Lock()

    def note(self, rank: RankKey, event: SpooledEvent) -> None:
        """Take a reading. Of gauges with more names than a rank may have, those that came first are kept."""
        with self._lock:
            known = self._ranks.setdefault(rank, _Rank())
            if event.name == STEP:
                known.step(event)
            elif event.kind is EventKind.GAUGE and event.name.startswith("user."):
                value = reading(event)
                if value is not None and (event.name in known.gauges or len(known.gauges) < _MOST_GAUGES):
                    known.gauges[event.name] = value

    def end(self, rank: RankKey) -> None:
        """Drop a rank that is gone once its last readings are taken."""
        with self._lock:
            if rank in self._ranks:
                self._ranks[rank].over = True

    def take(self) -> list[Sample]:
        """Give what came since the last call: `step_seconds` (the mean), `steps_per_second`, and `user.*` gauges."""
        with self._lock:
            samples = [sample for rank, known in self._ranks.items() for sample in known.samples(rank)]
            self._ranks = {rank: known for rank, known in self._ranks.items() if not known.over}
            return samples
