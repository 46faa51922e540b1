"""How often things are told that are said again and again, and what counters come to."""

from dataclasses import replace

from dlroverd_agent.signals.gathering import Counts, Gathering

from dlroverd.model.signal import Signal

XID = Signal(name="xid.63", at=1000.0, detail="x", device="GPU-0")


def test_the_first_is_told_at_once_and_a_storm_with_how_often_and_ever_more_seldom() -> None:
    gathering, told = Gathering(), []
    for second in range(6 * 3600):
        told += gathering.hear("kernel", replace(XID, name="mce.corrected", at=1000.0 + second))
        told += gathering.due(1000.0 + second)
    assert told[0].at == 1000.0
    assert [each.count for each in told[:4]] == [1, 60, 120, 240]
    assert len(told) < 15, "six hours of one a second"
    told += gathering.due(1e9)
    assert sum(each.count for each in told) == 6 * 3600


def test_what_comes_seldom_is_told_each_time_and_things_are_counted_apart() -> None:
    gathering = Gathering()
    for minute in range(0, 100, 5):
        (told,) = gathering.hear("kernel", replace(XID, at=1000.0 + 60 * minute))
        assert told.count == 1
    (other,) = gathering.hear("kernel", replace(XID, device="GPU-1", at=1000.0 + 60 * 95))
    assert other.device == "GPU-1"


def test_one_xid_that_kernel_and_driver_both_tell_is_one() -> None:
    for first, second in (("kernel", "driver"), ("driver", "kernel")):
        gathering = Gathering()
        assert gathering.hear(first, XID)
        assert not gathering.hear(second, replace(XID, at=1009.0))
        assert not gathering.due(2000.0)
        assert gathering.hear(second, replace(XID, at=1200.0)), "another one"


def test_links_that_come_up_are_told_of_only_where_they_went_down() -> None:
    gathering = Gathering()
    up = Signal(name="link.up", at=1.0, detail="x", part="eth0")
    assert not gathering.hear("kernel", up)
    assert gathering.hear("kernel", replace(up, name="link.down"))
    assert gathering.hear("kernel", replace(up, at=2.0))


def test_of_counters_only_the_rise_since_the_first_reading_counts() -> None:
    counts, key = Counts({}), ("gpu.ecc_uncorrected", "GPU-0", "")
    assert [counts.risen(key, value) for value in (5000.0, 5000.0, 5003.0, 0.0, 2.0)] == [0, 0, 3, 0, 2]
    again = Counts(counts.last)
    assert again.risen(key, 3.0) == 1, "an agent that was restarted goes on from what was read"
    for nonsense in (float("nan"), float("inf"), -1.0):
        assert again.risen(key, nonsense) == 0
    assert again.nonsense == {key}
    assert again.risen(key, 4.0) == 1


def test_a_state_is_told_when_it_begins() -> None:
    counts = Counts({})
    assert counts.begun("GPU-0", ["gpu.hot"]) == ["gpu.hot"]
    assert counts.begun("GPU-1", ["gpu.hot"]) == ["gpu.hot"]
    assert counts.begun("GPU-0", ["gpu.hot", "gpu.remap_pending"]) == ["gpu.remap_pending"]
    assert Counts(counts.last).begun("GPU-0", ["gpu.hot", "gpu.remap_pending"]) == []
    assert counts.begun("GPU-0", []) == []
    assert counts.begun("GPU-0", ["gpu.hot"]) == ["gpu.hot"]
