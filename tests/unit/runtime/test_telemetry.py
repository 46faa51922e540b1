"""The store of readings stays within its bounds, whatever agents say."""

import math
import tracemalloc
from collections.abc import Iterator

import pytest

from dlroverd.config.daemon import DaemonConfig
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.metrics import ALL, DEVICE, MOST_SAMPLES
from dlroverd.model.world import Progress
from dlroverd.runtime.series import SERIES_BYTES
from dlroverd.runtime.telemetry import Reading, TelemetryStore

T0 = 1.7e9
BUSY = "device_busy_ratio"
OF_DEVICES = [metric.name for metric in ALL if metric.subject == DEVICE]
DEVICES = 8 * len(OF_DEVICES)
"""Series of one node's devices."""


def uuid(node: int, device: int) -> str:
    return f"GPU-00000000-0000-4000-8000-{100 * node + device:012}"


def devices(node: int, count: int = 8) -> Iterator[Reading]:
    return ((name, 0.5, uuid(node, device)) for device in range(count) for name in OF_DEVICES)


def shown(store: TelemetryStore, node: str, device: str = "", metric: str = BUSY) -> list[float]:
    series = store.of(node, device).get(metric)
    return [bucket.mean for bucket in series.hour(series.at)] if series is not None else []


def test_4000_hosts_of_8_devices_fit_and_a_series_takes_no_more_than_is_counted() -> None:
    limit = DaemonConfig().telemetry_limit
    hosts = sum(metric.subject == "host" for metric in ALL)
    # Not the devices alone: the hosts' own, and six of each of 32,000 ranks.
    assert 4000 * (8 * len(OF_DEVICES) + hosts + 8 * 6) * SERIES_BYTES <= limit
    store = TelemetryStore(limit)
    tracemalloc.start()
    try:
        for node in range(40):
            store.take(f"gpu{node:05}", T0, devices(node), T0)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert store.series == 40 * DEVICES
    assert taken / store.series <= SERIES_BYTES


def test_readings_that_cannot_be_true_are_dropped_and_counted_one_by_one() -> None:
    store = TelemetryStore(10 * SERIES_BYTES)
    said = [(BUSY, value, "a") for value in (math.nan, math.inf, -math.inf, -0.1, 1.1, 1e300)]
    store.take(
        "n1", T0, [*said, (BUSY, 0.25, "a"), ("made_up", 1.0, ""), ("user.", 1.0, ""), ("user.mfu", 7.0, "")], T0
    )
    assert shown(store, "n1", "a") == [0.25]
    assert store.of("n1", "")["user.mfu"].value == 7.0
    assert store.dropped == {"not_sane": 6, "unknown": 2}
    assert store.taken == 2


def test_late_and_doubled_messages_are_dropped() -> None:
    store = TelemetryStore(10 * SERIES_BYTES)
    for at, now, value in ((0.0, 1.0, 0.1), (15.0, 16.0, 0.2), (15.0, 17.0, 0.9), (5.0, 18.0, 0.9), (30.0, 31.0, 0.3)):
        store.take("n1", T0 + at, [(BUSY, value, "a")], T0 + now)
    assert store.dropped == {"late": 2}
    (minute,) = store.of("n1", "a")[BUSY].hour(T0 + 31.0)
    assert [minute.mean, minute.least, minute.most] == pytest.approx([0.2, 0.1, 0.3])


def test_a_clock_that_is_wrong_or_jumps_does_not_count() -> None:
    store = TelemetryStore(10 * SERIES_BYTES)
    # Right, then a day ahead, then 1970, then right again: each minute one reading.
    for number, clock in enumerate((T0, T0 + 86400.0, 60.0, T0 + 180.0)):
        store.take(
            "n1", clock + (60.0 * number if clock == 60.0 else 0.0), [(BUSY, 0.1 * number, "a")], T0 + 60.0 * number
        )
    series = store.of("n1", "a")[BUSY]
    assert not store.dropped
    assert [round(bucket.at - T0 + T0 % 60) for bucket in series.hour(T0 + 180.0)] == [0, 60, 120, 180]


def test_a_clock_that_is_a_little_off_never_turns_time_back() -> None:
    store = TelemetryStore(10 * SERIES_BYTES)
    for at, now in ((T0 + 50.0, T0), (T0 + 15.0 - 3600.0, T0 + 15.0), (T0 + 30.0, T0 + 30.0)):
        store.take("n1", at, [(BUSY, 0.5, "a")], now)
    assert not store.dropped
    assert store.of("n1", "a")[BUSY].at == T0 + 50.0


def test_a_flood_costs_the_one_that_sends_it_alone() -> None:
    store = TelemetryStore(100_000 * SERIES_BYTES)
    store.take("n2", T0, devices(2), T0)
    for number in range(100):
        now = T0 + number / 100
        flood = ((BUSY, 0.5, f"{number}-{each}") for each in range(10 * MOST_SAMPLES))
        store.take("n1", now, flood, now)
    assert store.dropped == {"too_often": 98, "too_many": 2, "no_room": MOST_SAMPLES}
    assert store.series == MOST_SAMPLES + DEVICES
    assert len(store.of("n2", uuid(2, 0))) == len(OF_DEVICES)


def test_a_full_store_forgets_what_is_not_read_any_more_and_then_takes_nothing_new() -> None:
    store = TelemetryStore(2 * DEVICES * SERIES_BYTES)
    store.take("n1", T0, devices(1), T0)
    store.take("n2", T0 + 60.0, devices(2), T0 + 60.0)
    store.take("n3", T0 + 90.0, devices(3), T0 + 90.0)
    assert store.series == 2 * DEVICES
    assert store.dropped == {"no_room": DEVICES}, "all were read within two minutes"
    store.take("n3", T0 + 150.0, devices(3), T0 + 150.0)
    assert store.series <= 2 * DEVICES
    assert len(store.of("n2", uuid(2, 7))) == len(OF_DEVICES), "the oldest went first"
    gone = [device for device in range(8) if not store.of("n1", uuid(1, device))]
    assert gone
    assert len(store.of("n3", uuid(3, 0))) == len(OF_DEVICES)


def test_ranks_of_old_rounds_make_room_for_new_ones_of_their_own_node() -> None:
    store = TelemetryStore(10**9)
    key = GangKey(1, "trainer", 0)
    for round_ in range(12):
        now = T0 + 200.0 * round_
        ranks = [key.at(round_).rank(rank) for rank in range(1000)]
        store.take("n1", now, [("rank_cpu_ratio", 1.0, rank) for rank in ranks], now)
        assert store.of("n1", RankKey(1, "trainer", 0, round_, 999))
    assert store.series <= 4096
    assert not store.dropped


def test_what_was_not_read_for_a_day_is_forgotten() -> None:
    store = TelemetryStore(10**9)
    store.take("n1", T0, devices(1), T0)
    store.take("n2", T0 + 90_000.0, devices(2), T0 + 90_000.0)
    assert store.series == DEVICES
    assert not store.of("n1", uuid(1, 0))


def test_a_jobs_pace_is_made_of_where_its_world_is() -> None:
    store = TelemetryStore(10**9)
    key = GangKey(1, "trainer", 0)
    # A restart goes back, and what was done again is no pace of its own.
    for round_, step, at in ((1, 10, 0.0), (1, 30, 10.0), (2, 20, 20.0), (2, 20, 21.0), (2, 24, 24.0)):
        store.stepped(Progress(round=key.at(round_), step=step, at=T0 + at), T0 + at)
    series = store.of("", key)["job_steps_per_second"]
    assert (series.value, series.at) == (1.0, T0 + 24.0)
    assert {(bucket.least, bucket.most) for bucket in series.hour(T0 + 24.0)} == {(1.0, 2.0)}
    store.forget(1)
    assert not store._steps
