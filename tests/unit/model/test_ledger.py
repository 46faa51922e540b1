"""A job's ledger holds each moment once, whatever it did and whenever that was learnt."""

from dataclasses import astuple

from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.ledger import Category, Ledger, Times

BEGAN = 1_700_000_000.123456
BEGIN = Ledger(submitted_at=BEGAN, category=Category.WAITING, since=BEGAN, turned_at=BEGAN)

categories = st.sampled_from(Category)
moments = st.floats(0, 1e6).map(lambda after: BEGAN + after)
acts = st.one_of(
    st.tuples(st.just("turn"), categories, moments),
    st.tuples(st.just("learn"), categories, moments),
    st.tuples(st.just("hold"), st.integers(0, 9), moments),
    st.tuples(st.just("began"), st.none(), moments),
)


@given(st.lists(acts, max_size=30), moments)
def test_each_moment_is_counted_once(story: list[tuple[str, object, float]], now: float) -> None:
    ledger = BEGIN
    for act, what, at in story:
        match act, what:
            case "turn", Category():
                ledger = ledger.turn_to(what, at)
            case "learn", Category():
                ledger = ledger.turn_to(what, at, was=Category.STARTING)
            case "hold", int():
                ledger = ledger.hold(what, at)
            case _:
                ledger = ledger.began_earlier(at)
    whole = ledger.as_of(now)
    assert sum(astuple(whole.time_us)) == round((whole.since - BEGAN) * 1e6)
    assert whole.since >= now
    assert all(amount >= 0 for amount in (*astuple(whole.time_us), *astuple(whole.node_time_us)))


def test_a_fault_takes_its_time_from_what_seemed_productive() -> None:
    ledger = BEGIN.hold(4, BEGAN).turn_to(Category.PRODUCTIVE, BEGAN + 10).turn_to(Category.RESTARTING, BEGAN + 100)
    assert ledger.time_us == Times(waiting=10_000_000, productive=90_000_000)
    ledger = ledger.began_earlier(BEGAN + 95).turn_to(Category.PRODUCTIVE, BEGAN + 110)
    assert ledger.time_us == Times(waiting=10_000_000, productive=85_000_000, restarting=15_000_000)
    assert ledger.node_time_us == Times(waiting=40_000_000, productive=340_000_000, restarting=60_000_000)


def test_a_fault_goes_back_no_further_than_what_came_before() -> None:
    ledger = BEGIN.turn_to(Category.PRODUCTIVE, BEGAN + 10).turn_to(Category.RESTARTING, BEGAN + 20)
    assert ledger.began_earlier(BEGAN + 1).time_us == Times(waiting=10_000_000, restarting=10_000_000)


def test_what_loaded_is_known_once_it_steps() -> None:
    ledger = BEGIN.turn_to(Category.UNKNOWN, BEGAN + 1).turn_to(Category.PRODUCTIVE, BEGAN + 5, was=Category.STARTING)
    assert ledger.as_of(BEGAN + 6).time_us == Times(waiting=1_000_000, starting=4_000_000, productive=1_000_000)


def test_a_job_that_has_ended_spends_nothing() -> None:
    ledger = BEGIN.turn_to(None, BEGAN + 3)
    assert ledger.as_of(BEGAN + 50).time_us == Times(waiting=3_000_000)
