"""One series of readings in memory of a fixed size: its newest value, an hour by the minute, a day by the quarter of an
hour, each of these with mean, least and most. A time without a reading stays a gap.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

MINUTE_S, HOUR = 60, 60
QUARTER_S, DAY = 900, 96
_GAP = math.nan
# Mean, least and most of each bucket, in 4 bytes each: seven digits.
_FIELDS = 3
_EMPTY = array("f", [_GAP] * (_FIELDS * (HOUR + DAY)))
# What a series takes with its share of the tables around it, as tests/unit/runtime/test_telemetry.py measures.
SERIES_BYTES = 2560


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What a stretch of time, which begins at `at`, had for readings."""

    at: float
    mean: float
    least: float
    most: float


class Series:
    """Readings of one metric of one thing. Times are seconds and never decrease: who adds sees to that."""

    __slots__ = ("_buckets", "_day", "_day_count", "_hour", "_hour_count", "at", "value")

    def __init__(self) -> None:
        self.at = 0.0
        self.value = _GAP
        self._buckets = _EMPTY[:]
        # The numbers of the newest buckets, and how many readings these have.
        self._hour, self._hour_count = 0, 0
        self._day, self._day_count = 0, 0

    def add(self, at: float, value: float) -> None:
        """Take a reading."""
        self.at, self.value = at, value
        minute, quarter = int(at) // MINUTE_S, int(at) // QUARTER_S
        if minute > self._hour:
            self._skip(self._hour, minute, 0, HOUR)
            self._hour, self._hour_count = minute, 0
        self._hour_count += 1
        self._put(self._hour % HOUR, self._hour_count, value)
        if quarter > self._day:
            self._skip(self._day, quarter, HOUR, DAY)
            self._day, self._day_count = quarter, 0
        self._day_count += 1
        self._put(HOUR + self._day % DAY, self._day_count, value)

    def hour(self, now: float) -> Iterator[Bucket]:
        """Give what there is of the hour before `now`, by the minute, oldest first."""
        return self._read(now, self._hour, MINUTE_S, 0, HOUR)

    def day(self, now: float) -> Iterator[Bucket]:
        """Give what there is of the day before `now`, by the quarter of an hour, oldest first."""
        return self._read(now, self._day, QUARTER_S, HOUR, DAY)

    def _skip(self, newest: int, number: int, first: int, size: int) -> None:
        """Empty the buckets after the newest one up to that of a number: they hold what was a whole round ago."""
        for each in range(max(newest + 1, number - size + 1), number + 1):
            at = (first + each % size) * _FIELDS
            self._buckets[at] = _GAP

    def _put(self, bucket: int, count: int, value: float) -> None:
        buckets, at = self._buckets, bucket * _FIELDS
        if count == 1:
            buckets[at] = buckets[at + 1] = buckets[at + 2] = value
            return
        buckets[at] += (value - buckets[at]) / count
        if value < buckets[at + 1]:
            buckets[at + 1] = value
        elif value > buckets[at + 2]:
            buckets[at + 2] = value

    def _read(self, now: float, newest: int, step_s: int, first: int, size: int) -> Iterator[Bucket]:
        last = int(now) // step_s
        for number in range(max(last, newest) - size + 1, newest + 1):
            at = (first + number % size) * _FIELDS
            mean, least, most = self._buckets[at : at + _FIELDS]
            if not math.isnan(mean):
                yield Bucket(at=float(number * step_s), mean=mean, least=least, most=most)
