"""What an agent is told so often that its mean or its newest is all that counts: how long steps take, and gauges.

It is put together, and written twice a second at the most. After a step of a few milliseconds the code that
makes a line is in no cache of the processor any more: each line, and each call of the kernel's, takes 10 to 20 us
then, and 0.2 to 2 in a loop (ARCHITECTURE, "Readings"). Longer steps are written as they come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

EVERY_S = 0.5


class Telemetry:
    """What was said since the last time that it was written, and is by the next call that comes late enough.

    Threads that say something at once may lose some of it: it is no more than telemetry.
    """

    def __init__(self, write: Callable[[str, dict[str, Any]], None]) -> None:
        """`write` takes the name of a gauge and its body."""
        self._write = write
        self.begin()

    def begin(self) -> None:
        """Begin with nothing, as a forked process does."""
        self._written = 0.0
        self._forget()

    def _forget(self) -> None:
        self._steps, self._spent_s = 0, 0.0
        self._gauges: dict[str, float] = {}

    def waits(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._steps or self._gauges)

    def step(self, spent_s: float, now: float) -> None:
        """Take the time of a step; `now` is the monotonic clock."""
        self._steps += 1
        self._spent_s += spent_s
        if now - self._written >= EVERY_S:
            self.flush(now)

    def gauge(self, name: str, value: float, now: float) -> None:
        """Take a reading: a number that nobody changes."""
        self._gauges[name] = value
        if now - self._written >= EVERY_S:
            self.flush(now)

    def flush(self, now: float = 0.0) -> None:
        """Write what there is; `now` is 0 if the next call is to write, too."""
        steps, spent_s, gauges = self._steps, self._spent_s, self._gauges
        self._forget()
        self._written = now
        if steps:
            self._write("trainer.steps", {"value": spent_s / steps, "count": steps})
        for name, value in gauges.items():
            self._write(name, {"value": value})
