"""What the daemon counts of itself since its start. Plain numbers: to count costs nothing that matters."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from dlroverd.model.event import Event, IncidentAttributed, RestartCounted

# Seconds: a turn is a sync of the disk, some milliseconds; a thousand times that is a disk in trouble.
TURN_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Meters:
    """The counters of one daemon."""

    def __init__(self) -> None:
        self.beats = 0
        self.restarts = 0
        self.incidents: Counter[str] = Counter()
        self.turns = [0] * (len(TURN_BOUNDS_S) + 1)
        self.turns_s = 0.0

    def turn(self, took_s: float) -> None:
        """Count a turn with a record: it took so long until all of it was let out."""
        self.turns[bisect_left(TURN_BOUNDS_S, took_s)] += 1
        self.turns_s += took_s

    def count(self, events: Iterable[Event]) -> None:
        """Count what became durable."""
        for event in events:
            match event:
                case RestartCounted():
                    self.restarts += 1
                case IncidentAttributed():
                    self.incidents[event.cause.kind.value] += 1
                case _:
                    pass
