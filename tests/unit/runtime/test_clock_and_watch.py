"""Time that never decreases, and silence that is the node's own."""

from hypothesis import given
from hypothesis import strategies as st

from dlroverd.runtime.clock import Clock
from dlroverd.runtime.watch import Watch


class Times:
    """Both clocks of a host, as a test sets them."""

    def __init__(self) -> None:
        self.wall = 1000.0
        self.monotonic = 5.0

    def clock(self, last: float) -> Clock:
        return Clock(last, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


def test_the_clock_follows_the_wall() -> None:
    times = Times()
    clock = times.clock(0.0)
    assert clock.now() == 1000.0
    times.wall, times.monotonic = 1002.0, 7.0
    assert clock.now() == 1002.0


def test_the_clock_runs_on_while_the_wall_is_set_back() -> None:
    times = Times()
    clock = times.clock(0.0)
    clock.now()
    times.wall, times.monotonic = 400.0, 6.0
    assert clock.now() == 1001.0
    times.monotonic = 6.5
    assert clock.now() == 1001.5


def test_after_a_restart_the_clock_goes_on_above_the_log() -> None:
    times = Times()
    clock = times.clock(5000.0)
    assert clock.now() == 5000.0
    times.wall, times.monotonic = 1001.0, 6.0
    assert clock.now() == 5001.0


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 1e3))))
def test_the_clock_never_decreases(steps: list[tuple[float, float]]) -> None:
    times = Times()
    clock = times.clock(2000.0)
    before = clock.now()
    for wall, monotonic in steps:
        times.wall += wall
        times.monotonic += monotonic
        now = clock.now()
        assert now >= before
        before = now


def test_a_node_is_silent_once_until_it_is_heard_again() -> None:
    watch = Watch(["b", "a"], 0.0, 5.0)
    watch.heard("c", 1.0)
    assert watch.silent(0.25, 0.25) == []
    assert watch.silent(1.0, 1.0) == []
    watch.heard("a", 1.5)
    now_s = 1.0
    found: list[tuple[float, str]] = []
    while now_s < 8.0:
        now_s += 0.25
        found += [(now_s, node) for node in watch.silent(now_s, 0.25)]
    assert found == [(5.0, "b"), (6.0, "c"), (6.5, "a")]
    watch.heard("b", 9.0)
    assert watch.silent(9.0, 1.0) == []


def ticks(watch: Watch, until_s: float) -> list[tuple[float, str]]:
    """Look every quarter of a second; give who fell silent when."""
    found = []
    for tick in range(1, int(until_s * 4) + 1):
        found += [(tick * 0.25, node) for node in watch.silent(tick * 0.25, 0.25)]
    return found


def test_a_node_that_said_it_is_away_is_silent_when_its_time_is_over() -> None:
    watch = Watch(["a", "b", "c"], 0.0, 5.0)
    watch.away("a", 8.0)
    watch.away("b", 2.0)  # less than the limit, which it has in any case
    watch.away("d", 1.0)  # not known to be here, so it cannot fall silent
    assert ticks(watch, 20.0) == [(5.0, "b"), (5.0, "c"), (8.0, "a")]


def test_a_node_that_is_back_early_is_away_no_more() -> None:
    watch = Watch(["a"], 0.0, 5.0)
    watch.away("a", 60.0)
    watch.heard("a", 1.0)
    assert ticks(watch, 70.0) == [(6.0, "a")]


def test_a_stall_of_the_daemon_is_not_an_absence_that_is_over() -> None:
    watch = Watch(["a"], 0.0, 5.0)
    watch.away("a", 8.0)
    assert watch.silent(60.0, 0.25) == []
    assert watch.silent(64.75, 4.75) == []
    assert watch.silent(65.0, 0.25) == ["a"]


def test_a_stall_of_the_daemon_is_not_the_nodes_silence() -> None:
    watch = Watch(["a"], 0.0, 5.0)
    assert watch.silent(0.25, 0.25) == []
    assert watch.silent(60.0, 0.25) == []
    assert watch.silent(60.25, 0.25) == []
    for tick in range(1, 20):
        assert watch.silent(60.25 + tick * 0.25, 0.25) == ([] if tick * 0.25 < 4.75 else ["a"])


def test_a_silence_is_measured_from_the_last_word_and_ends_with_the_next() -> None:
    watch = Watch(["a", "b"], 0.0, 5.0, silent=["c"])
    watch.heard("b", 2.0)
    assert ticks(watch, 6.0) == [(5.0, "a")]
    assert dict(watch.silences(6.0)) == {"a": 6.0, "c": 6.0}
    watch.heard("a", 6.5)
    assert dict(watch.silences(7.0)) == {"c": 7.0}


def test_a_silence_is_never_taken_for_longer_than_it_was() -> None:
    """An announced absence, or a stall of the daemon: when the node was heard last is not known any more."""
    watch = Watch(["a", "b"], 0.0, 5.0)
    watch.away("a", 8.0)
    assert ticks(watch, 9.0) == [(5.0, "b"), (8.0, "a")]
    assert dict(watch.silences(9.0)) == {"a": 1.0, "b": 9.0}
    watch.silent(60.0, 0.25)
    assert dict(watch.silences(61.0)) == {"a": 1.0, "b": 1.0}
