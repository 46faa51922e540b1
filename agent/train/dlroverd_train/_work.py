"""How long this rank works by itself in each step, before it waits for the others: what tells a slow rank from those
that wait for it, which all make a step in the same time.

torch's flight recorder notes when each collective was begun. From the end of one step, told by `stepped`, to the last
collective begun in the next one, a rank is at work of its own, as far as its collectives do not wait for each other:
with DistributedDataParallel they do not. It is looked at seldom, so that it takes less than a five-hundredth of a
CPU, and said as a gauge, `trainer.work`. On a device it is the time that the host takes to give it its work.

Looks at torch only where the script has loaded it. Without the recorder nothing is said.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from time import monotonic, thread_time, time
from typing import Any

_LOOK_S = 1.0
_SHARE = 500
_MOST_STEPS = 512
_RECORDER = "torch._C._distributed_c10d"


class _Work:
    """The ends of the newest steps of this process, and when it looks again."""

    def __init__(self) -> None:
        self.ours = True
        self._ends: deque[float] = deque(maxlen=_MOST_STEPS)
        self._next = 0.0

    def stepped(self) -> None:
        """Take the end of a step, now."""
        if not self.ours:
            return
        self._ends.append(time())
        began = monotonic()
        if began < self._next or len(self._ends) < 2:
            return
        used = thread_time()
        dump = getattr(sys.modules.get(_RECORDER), "_dump_fr_trace_json", None)
        if dump is None:
            self._next = began + _LOOK_S
            return
        try:
            took = spent(list(self._ends), begun(json.loads(dump(True, False))))
        except Exception:  # noqa: BLE001 - a recorder that is not as we know it: nothing is said
            self.ours = False
            return
        last = self._ends[-1]
        self._ends.clear()
        self._ends.append(last)
        if took:
            from .events import gauge  # noqa: PLC0415 - it imports what imports this

            gauge("trainer.work", sum(took) / len(took))
        self._next = monotonic() + max(_LOOK_S, _SHARE * (thread_time() - used))


def begun(trace: dict[str, Any]) -> list[float]:
    """Give when the collectives that are in a trace were begun, in order; wall clock, seconds."""
    return sorted(each["time_created_ns"] / 1e9 for each in trace["entries"] if each["time_created_ns"] > 0)


def spent(ends: list[float], begun: list[float]) -> list[float]:
    """Give how long each step but the first took from its begin, the end of the one before, to its last collective.

    A step without one says nothing, nor does a clock that was set back.
    """
    found, at = [], 0
    for number in range(1, len(ends)):
        began, ended = ends[number - 1], ends[number]
        last = 0.0
        while at < len(begun) and begun[at] <= ended:
            last, at = begun[at], at + 1
        if last > began:
            found.append(last - began)
    return found


def stepped() -> None:
    """Say that a step of this rank has ended."""
    _work.stepped()


def forked() -> None:
    """Be another process, whose steps are none of the rank's."""
    _work.ours = False


_work = _Work()
