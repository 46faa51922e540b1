"""The one time of the daemon: wall-anchored, and never decreasing.

It runs on by the monotonic clock while the wall clock is set back, and follows the wall clock when that is set
forward. After a restart it goes on above the last record's time. Must not be used to judge silence: that is
measured on the monotonic clock alone (`watch`).
"""

import time
from collections.abc import Callable


class Clock:
    """Gives `now`, seconds since the epoch."""

    def __init__(
        self,
        last: float,
        *,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at the wall clock's time, or at `last`, the newest that the log knows, if that is later."""
        self._wall = wall
        self._monotonic = monotonic
        self._now = last
        self._read_at = monotonic()

    def now(self) -> float:
        """Give the time; each call gives at least what the one before gave."""
        read_at = self._monotonic()
        self._now = max(self._now + (read_at - self._read_at), self._wall())
        self._read_at = read_at
        return self._now
