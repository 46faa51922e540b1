"""Makes signals of what is heard: each at once, and what is said again and again with how often, ever more seldom.

A storm of corrected errors costs the log a handful of events. Pure: time is that of what was heard.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dlroverd.model.signal import Signal

# What a signal is about: its name, the device, the part of the host.
Key = tuple[str, str, str]

_FIRST_S, _LONGEST_S = 60.0, 3600.0
# The kernel's log and the driver tell of one XID; the driver is asked every ten seconds, and has no time for it.
_TWINS_S = 25.0
# What is well again is told only of what was told to be ill: at each boot all links come up.
_AFTER = {"link.up": "link.down", "nfs.back": "nfs.away"}
# The part of a state's key, which has none.
_STATE = "state"


@dataclass(slots=True)
class _Told:
    at: float
    wait_s: float
    newest: Signal
    waiting: int = 0


class Gathering:
    """What was heard of one boot of a host."""

    def __init__(self) -> None:
        self._told: dict[Key, _Told] = {}
        self._alone: dict[Key, list[tuple[str, float]]] = {}

    def hear(self, source: str, signal: Signal) -> list[Signal]:
        """Take one that `source` (kernel, driver) tells; what is to be told on, if it is not too soon for that."""
        if signal.name.startswith("xid.") and self._is_twin(source, signal):
            return []
        if (ill := _AFTER.get(signal.name)) and (ill, signal.device, signal.part) not in self._told:
            return []
        key = (signal.name, signal.device, signal.part)
        told = self._told.get(key)
        if told is None or signal.at >= told.at + told.wait_s:
            return [self._tell(key, told, signal, signal.count + (told.waiting if told is not None else 0))]
        told.waiting += signal.count
        told.newest = signal
        return []

    def due(self, now: float) -> list[Signal]:
        """Give what was held back for long enough."""
        return [
            self._tell(key, told, told.newest, told.waiting)
            for key, told in self._told.items()
            if told.waiting and now >= told.at + told.wait_s
        ]

    def _tell(self, key: Key, told: _Told | None, signal: Signal, count: int) -> Signal:
        often = told is not None and signal.at < told.at + 2 * told.wait_s
        wait_s = min(2 * told.wait_s, _LONGEST_S) if told is not None and often else _FIRST_S
        counted = Signal(
            name=signal.name,
            at=signal.at,
            detail=signal.detail,
            device=signal.device,
            part=signal.part,
            count=count,
            pid=signal.pid,
        )
        self._told[key] = _Told(signal.at, wait_s, signal)
        return counted

    def _is_twin(self, source: str, signal: Signal) -> bool:
        """Whether another source told of this very one already."""
        key = (signal.name, signal.device, signal.part)
        alone = [each for each in self._alone.get(key, ()) if abs(signal.at - each[1]) <= _TWINS_S]
        twin = next((each for each in alone if each[0] != source), None)
        if twin is not None:
            alone.remove(twin)
        else:
            alone.append((source, signal.at))
        self._alone[key] = alone
        return twin is not None


class Counts:
    """Counters, of which only what they have risen by since the boot's first reading says anything; and states."""

    def __init__(self, last: Mapping[Key, float]) -> None:
        """Go on from what was read before, in this boot."""
        self.last = dict(last)
        self.nonsense: set[Key] = set()
        self.changed = False

    def risen(self, key: Key, value: float) -> int:
        """Take a reading; by how much it has risen. The first one, and what went back, begins anew."""
        if not math.isfinite(value) or value < 0:
            self.nonsense.add(key)
            return 0
        before = self.last.get(key)
        if value != before:
            self.last[key], self.changed = value, True
        return int(value - before) if before is not None and value > before else 0

    def begun(self, device: str, now: Collection[str]) -> list[str]:
        """Take which states a device is in, all of them; those that it was not in at the last look."""
        before = {key[0] for key, value in self.last.items() if key[1:] == (device, _STATE)}
        if before != set(now):
            self.changed = True
        for name in before - set(now):
            del self.last[name, device, _STATE]
        self.last |= {(name, device, _STATE): 1.0 for name in now}
        return sorted(set(now) - before)
