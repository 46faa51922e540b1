"""A series beside a naive model that keeps every reading for ever."""

import math
import random
import statistics

from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.runtime.series import DAY, HOUR, MINUTE_S, QUARTER_S, Bucket, Series

# From readings each few seconds to a gap of more than a day.
STEPS = st.floats(0.0, 90.0) | st.floats(0.0, 200_000.0)
VALUES = st.floats(-1e12, 1e12)


def model(readings: list[tuple[float, float]], now: float, step_s: int, size: int) -> list[Bucket]:
    found: dict[int, list[float]] = {}
    for at, value in readings:
        found.setdefault(int(at) // step_s, []).append(value)
    newest = int(now) // step_s
    return [
        Bucket(at=float(number * step_s), mean=statistics.fmean(of), least=min(of), most=max(of))
        for number, of in sorted(found.items())
        if number > newest - size
    ]


def same(shown: list[Bucket], wanted: list[Bucket]) -> bool:
    """Tell whether they are the same to the seven digits that are kept."""

    def near(one: float, other: float, scale: float) -> bool:
        return math.isclose(one, other, rel_tol=1e-5, abs_tol=1e-5 * scale)

    return [each.at for each in shown] == [each.at for each in wanted] and all(
        near(a.mean, b.mean, max(abs(b.least), abs(b.most), 1e-30))
        and near(a.least, b.least, 1e-30)
        and near(a.most, b.most, 1e-30)
        for a, b in zip(shown, wanted, strict=True)
    )


@given(steps=st.lists(st.tuples(STEPS, VALUES), max_size=60), later=st.floats(0.0, 100_000.0))
@settings(deadline=None)
def test_it_shows_what_every_reading_of_a_bucket_comes_to(steps: list[tuple[float, float]], later: float) -> None:
    series, readings, at = Series(), [], 1.7e9
    for step, value in steps:
        at += step
        series.add(at, value)
        readings.append((at, value))
    now = at + later
    assert same(list(series.hour(now)), model(readings, now, MINUTE_S, HOUR))
    assert same(list(series.day(now)), model(readings, now, QUARTER_S, DAY))
    if readings:
        assert (series.at, series.value) == readings[-1]


def test_two_days_of_readings_each_fifteen_seconds_show_the_last_hour_and_day() -> None:
    chance = random.Random(1)
    series, readings = Series(), []
    for number in range(2 * 5760):
        at, value = 1.7e9 + 15.0 * number + chance.uniform(0.0, 2.0), chance.gauss(70.0, 5.0)
        series.add(at, value)
        readings.append((at, value))
    hour, day = list(series.hour(at)), list(series.day(at))
    assert (len(hour), len(day)) == (HOUR, DAY)
    assert same(hour, model(readings, at, MINUTE_S, HOUR))
    assert same(day, model(readings, at, QUARTER_S, DAY))


def test_a_gap_stays_a_gap() -> None:
    series = Series()
    for at in (0.0, 60.0, 300.0):
        series.add(1.7e9 + at, 1.0)
    minutes = [bucket.at for bucket in series.hour(1.7e9 + 300.0)]
    assert [each - minutes[0] for each in minutes] == [0.0, 60.0, 300.0]
    assert list(series.hour(1.7e9 + 7200.0)) == []
    assert [bucket.mean for bucket in series.day(1.7e9 + 7200.0)] == [1.0, 1.0]
