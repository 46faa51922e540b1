"""When a failing plugin is left alone, and when it is tried again. Pure: the time comes in."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """`failures` within `window_s` open the breaker for `open_s`; then one failure more opens it again.

    Three, so that one bad call and one bad restart are forgiven; 30 s, because what ails a plugin (a broker
    that is down, a module being installed) seldom passes sooner, and a start costs a third of a second of CPU.
    """

    failures: int = 3
    window_s: float = 60.0
    open_s: float = 30.0


class Breaker:
    """Closed (calls go through), open (none does), or on trial (they do, until the first success or failure)."""

    def __init__(self, limits: BreakerLimits) -> None:
        """Begin closed."""
        self._limits = limits
        self._failed_at: deque[float] = deque(maxlen=limits.failures)
        self._open_until: float | None = None

    def failed(self, now: float) -> None:
        """Count a failure at `now` (monotonic seconds)."""
        self._failed_at.append(now)
        often = len(self._failed_at) == self._limits.failures
        if self._open_until is not None or (often and now - self._failed_at[0] <= self._limits.window_s):
            self._open_until = now + self._limits.open_s

    def succeeded(self, now: float) -> None:
        """Count a success: it ends a trial."""
        if self._open_until is not None and now >= self._open_until:
            self._open_until = None
            self._failed_at.clear()

    def held_off_s(self, now: float) -> float:
        """For how long yet nothing may be tried; 0 if it may be now."""
        return max(0.0, (self._open_until or now) - now)
