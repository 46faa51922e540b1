"""How long this rank works by itself in each step, before it waits for the others: what tells a slow rank from those
that wait for it, which all make a step in the same time.

torch's flight recorder notes when each collective was begun. From the end of one step, told by `stepped`, to the last
collective begun in the next one, a rank is at work of its own, as far as its collectives do not wait for each other:
with DistributedDataParallel they do not. It is looked at seldom, so that it takes less than one part in 500 of
a CPU, and said as a gauge, `trainer.work`. On a device it is the time that the host takes to give it its work.

A rank that becomes slow makes the steps of all ranks longer at once. So when steps are no more what they were, a few
of them are looked at one by one, ahead of time, and that time is made up for; but not steps that are shorter than a
few looks, since in a job of those all ranks wait while one looks.

Looks at torch only where the script has loaded it. Without the recorder nothing is said.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from time import monotonic, thread_time, time
from typing import Any

from . import _recorder

_LOOK_S = 0.5
_SHARE = 500
_MOST_STEPS = 512
# Steps have changed if two in a row are so much longer or shorter than the median of so many.
_USUAL, _CHANGED = 13, 1.1
# How many looks may be ahead of their time, and how many of them a step must be worth.
_AHEAD, _WORTH = 4, 2
_Clock = Callable[[], float]


class _Work:
    """The ends of the newest steps of this process, and when it looks again."""

    def __init__(self, wall: _Clock = time, steady: _Clock = monotonic, used: _Clock = thread_time) -> None:
        self.ours = True
        self._wall, self._steady, self._used = wall, steady, used
        self._ends: deque[float] = deque(maxlen=_MOST_STEPS)
        self._took: deque[float] = deque(maxlen=_USUAL)
        self._idle_until = 0.0
        self._cost = 0.0
        self._pause = 0.0
        self._next = 0.0

    def stepped(self) -> None:
        """Take the end of a step, now."""
        if not self.ours:
            return
        self._ends.append(self._wall())
        if len(self._ends) < 2:
            return
        self._took.append(self._ends[-1] - self._ends[-2])
        began = self._steady()
        if began < self._idle_until:
            return
        ahead = began < self._next
        if ahead and not self._hurries(began):
            return
        if os.environ.get("WORLD_SIZE") == "1":
            self.ours = False  # nobody to be compared with
            return
        used = self._used()
        if not _recorder.dumps():
            self._next = began + _LOOK_S
            return
        _recorder.offer()
        try:
            recorded = _recorder.entries()
            took = [] if hands_on(recorded, self._ends[0]) else spent(list(self._ends), begun(recorded))
        except Exception:  # noqa: BLE001 - a recorder that is not as we know it: nothing is said
            self.ours = False
            return
        last = self._ends[-1]
        self._ends.clear()
        self._ends.append(last)
        if ahead:
            took = took[-2:]  # those before were as usual
        if took:
            from .events import reading  # noqa: PLC0415 - it imports what imports this

            reading("trainer.work", {"value": sum(took) / len(took)})
        self._cost = self._used() - used
        self._pause = max(_LOOK_S, _SHARE * self._cost)
        self._next = max(self._next, began) + self._pause
        self._idle_until = began + _LOOK_S

    def _hurries(self, now: float) -> bool:
        """Whether steps have changed, and a look ahead of time can be made up for."""
        if len(self._took) < _USUAL or self._next > now + _AHEAD * self._pause:
            return False
        usual, newest = sorted(self._took)[_USUAL // 2], (self._took[-2], self._took[-1])
        if usual <= _WORTH * self._cost:
            self._idle_until = self._next
            return False
        return min(newest) > _CHANGED * usual or max(newest) * _CHANGED < usual


def hands_on(recorded: list[dict[str, Any]], since: float) -> bool:
    """Whether ranks have sent to each other since then, as stages of a pipeline do: their parts of a step differ."""
    return any(each.get("is_p2p") and each["time_created_ns"] / 1e9 > since for each in recorded)


def begun(recorded: list[dict[str, Any]]) -> list[float]:
    """Give when these collectives were begun, in order; wall clock, seconds."""
    return sorted(each["time_created_ns"] / 1e9 for each in recorded if each["time_created_ns"] > 0)


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


def stop() -> None:
    """Look no more: in another process, whose steps are none of the rank's, or beside another that looks."""
    _work.ours = False


_work = _Work()
