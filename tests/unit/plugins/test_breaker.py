from dlroverd.plugin_host.breaker import Breaker, BreakerLimits

LIMITS = BreakerLimits(failures=3, window_s=60.0, open_s=30.0)


def failing_at(*times: float) -> Breaker:
    breaker = Breaker(LIMITS)
    for now in times:
        breaker.failed(now)
    return breaker


def test_the_third_failure_within_the_window_opens_it_for_a_while() -> None:
    assert failing_at(0.0, 60.0).held_off_s(60.0) == 0.0
    breaker = failing_at(0.0, 30.0, 60.0)
    assert breaker.held_off_s(60.0) == 30.0
    assert breaker.held_off_s(89.0) == 1.0
    assert breaker.held_off_s(90.0) == 0.0


def test_failures_far_apart_never_open_it() -> None:
    breaker = Breaker(LIMITS)
    for turn in range(100):
        breaker.failed(turn * 31.0)
        assert breaker.held_off_s(turn * 31.0) == 0.0


def test_one_failure_on_trial_opens_it_again() -> None:
    breaker = failing_at(0.0, 1.0, 2.0)
    breaker.failed(1000.0)
    assert breaker.held_off_s(1000.0) == 30.0


def test_a_success_on_trial_closes_it() -> None:
    breaker = failing_at(0.0, 1.0, 2.0)
    breaker.succeeded(32.0)
    breaker.failed(33.0)
    breaker.failed(34.0)
    assert breaker.held_off_s(34.0) == 0.0
    breaker.failed(35.0)
    assert breaker.held_off_s(35.0) == 30.0


def test_a_success_that_arrives_while_it_is_open_closes_nothing() -> None:
    breaker = failing_at(0.0, 1.0, 2.0)
    breaker.succeeded(3.0)
    assert breaker.held_off_s(3.0) == 29.0


def test_successes_between_failures_do_not_hide_them() -> None:
    breaker = failing_at(0.0, 1.0)
    breaker.succeeded(1.5)
    breaker.failed(2.0)
    assert breaker.held_off_s(2.0) == 30.0
