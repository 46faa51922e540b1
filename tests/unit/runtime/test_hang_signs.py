"""What is read of the ranks of a gang that makes no step."""

import asyncio
from collections.abc import Sequence

import pytest

from dlroverd.core.records import GangRecord, GrantRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.model.hang_sample import Signs
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, RankState
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.hang_signs import HangSigns
from dlroverd.runtime.telemetry import TelemetryStore
from tests.unit.core.desk import running_job

KEY, BEGAN, QUIET_S, APART_S = GangKey(1, "trainer", 0), 6000.0, 120.0, 15.0
DEVICES = ("GPU-a", "GPU-b")


def signs(busy: Sequence[float], devices: tuple[str, ...] = DEVICES) -> Signs:
    """Give the signs of two ranks on n1, the second one's device read to be so busy, the last time just now."""
    state, telemetry, now = State("log"), TelemetryStore(2**24), BEGAN
    gang = GangRecord(
        key=KEY, state=GangState.RUNNING, reason="", since=0.0, round=2, step=0, nodes=("n1",), world_size=2
    )
    state.put(state.jobs, 1, running_job())
    state.put(state.gangs, KEY, gang)
    ranks = [RankRecord(key=KEY.at(2).rank(n), local_rank=n, node="n1", state=RankState.RUNNING) for n in range(2)]
    state.put_world(KEY, [], ranks)
    state.put(state.grants, ("n1", KEY), GrantRecord(slots=2, devices=devices, group_rank=0, first_rank=0))
    for share in busy:
        now += APART_S
        readings = [("device_busy_ratio", 1.0, "GPU-a"), ("device_busy_ratio", share, "GPU-b")]
        telemetry.take("n1", now, [*readings, ("rank_step", 7.0, ranks[1].key)], now)
    clock = Clock(now, wall=lambda: now, monotonic=lambda: 0.0)
    return asyncio.run(HangSigns(state, telemetry, clock).of(gang, QUIET_S))


@pytest.mark.parametrize(
    ("busy", "idle"),
    [
        ([*[0.9] * 8, *[0.0] * 9], {0: False, 1: True}),  # it was busy before
        ([*[0.0] * 14, 0.3, 0.0, 0.0], {0: False}),  # for a moment it was not idle
        ([*[0.0] * 16, 0.02], {0: False, 1: True}),  # what a driver's sampling shows of nothing
        ([1.0] * 17, {0: False, 1: False}),
    ],
)
def test_a_device_is_idle_if_it_did_nothing_all_the_time(busy: list[float], idle: dict[int, bool]) -> None:
    assert signs(busy).idle == idle


def test_of_ranks_that_share_their_devices_it_is_not_known() -> None:
    assert signs([0.0] * 9, devices=("GPU-a", "GPU-b", "GPU-c")).idle == {}


def test_how_far_a_rank_is_counts_if_it_was_read_since() -> None:
    assert signs([0.0]).steps == {1: 7.0}
    assert signs([]).steps == {}
