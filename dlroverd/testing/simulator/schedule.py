"""Virtual time: what happens next. Ties go in the order in which they were scheduled."""

from collections.abc import Callable
from heapq import heappop, heappush

# Like a wall clock's, so that sums of times are rounded as in life.
BEGIN = 1_800_000_000.0

Call = Callable[[], None]


class Schedule:
    """Calls to make, by time."""

    def __init__(self) -> None:
        """Begin with nothing to do."""
        self.now = BEGIN
        self._heap: list[tuple[float, int, Call]] = []
        self._count = 0

    def after(self, delay_s: float, call: Call) -> None:
        """Have `call` made `delay_s` from now."""
        self.at(self.now + delay_s, call)

    def at(self, time: float, call: Call) -> None:
        """Have `call` made at `time`, or now if that has passed."""
        self._count += 1
        heappush(self._heap, (max(time, self.now), self._count, call))

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Make calls in order up to `until`, or until `done`."""
        while self._heap and self._heap[0][0] <= until and not done():
            self.now, _, call = heappop(self._heap)
            call()
        if not done():
            self.now = max(self.now, until)
