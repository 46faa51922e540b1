"""How often to save, against the cost that it is to keep down, and how often a job fails."""

from math import expm1
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.core import interval
from dlroverd.core.interval import Hazard
from dlroverd.core.reputation import DAY_S, GOOD_PER_DAY

HOUR_S = 3600.0
RARE = GOOD_PER_DAY / DAY_S


def cost(interval_s: float, save_s: float, mtbf_s: float) -> float:
    """Give the time that a second of training takes, by Daly's model without restarts (his equation 20)."""
    return mtbf_s / interval_s * expm1((interval_s + save_s) / mtbf_s)


@given(save_s=st.floats(0.01, 300.0), mtbf_s=st.floats(60.0, 1e7))
def test_no_other_interval_within_the_bounds_costs_noticeably_less(save_s: float, mtbf_s: float) -> None:
    chosen = interval.optimum_s(save_s, mtbf_s)
    assert interval.FLOOR_S <= chosen <= interval.CEILING_S
    spread = (interval.CEILING_S / interval.FLOOR_S) ** (1 / 400)
    least = min(cost(interval.FLOOR_S * spread**n, save_s, mtbf_s) for n in range(401))
    assert cost(chosen, save_s, mtbf_s) <= 1.005 * least or save_s > 2 * mtbf_s


@given(save_s=st.floats(0.01, 300.0), mtbf_s=st.floats(60.0, 1e7), more=st.floats(1.0, 10.0))
def test_dearer_saves_and_rarer_faults_never_shorten_it(save_s: float, mtbf_s: float, more: float) -> None:
    chosen = interval.optimum_s(save_s, mtbf_s)
    assert interval.optimum_s(save_s, mtbf_s * more) >= chosen - 1e-6
    assert interval.optimum_s(save_s * more, mtbf_s) >= chosen - 1e-6 or save_s * more > mtbf_s / 2


def test_youngs_formula_is_its_first_order() -> None:
    assert interval.optimum_s(0.5, 8 * HOUR_S) == pytest.approx((2 * 0.5 * 8 * HOUR_S) ** 0.5, rel=0.01)
    assert interval.optimum_s(1.0, 2 * HOUR_S) == pytest.approx(119.3, abs=0.1)
    assert interval.optimum_s(500.0, 100.0) == 100.0, "a job that fails before it has saved"


@pytest.mark.parametrize(
    ("nodes", "hours"),
    [(1, 3692), (128, 28.8), (2048, 1.8)],  # Meta measured 7.9 h of 1,024 GPUs, and projects 1.8 h of 16,384
)
def test_without_a_history_a_job_fails_as_its_hosts_do_elsewhere(nodes: int, hours: float) -> None:
    rate = Hazard().per_node_s(5e8)
    assert rate == pytest.approx(RARE)
    assert interval.mtbf_s(rate, nodes, 0, 0.0) / HOUR_S == pytest.approx(hours, rel=0.01)


def test_a_jobs_own_crashes_come_on_top_and_count_less_the_longer_it_runs_without() -> None:
    good = interval.mtbf_s(RARE, 4, 0, HOUR_S)
    first = interval.mtbf_s(RARE, 4, 1, HOUR_S)
    assert first / HOUR_S == pytest.approx(7, rel=0.02)
    assert interval.mtbf_s(RARE, 4, 5, HOUR_S) / HOUR_S == pytest.approx(1.4, rel=0.02)
    assert first < interval.mtbf_s(RARE, 4, 1, 24 * HOUR_S) < interval.mtbf_s(RARE, 4, 1, 720 * HOUR_S) < good
    assert interval.mtbf_s(RARE, 2048, 13, 24 * HOUR_S) == interval.mtbf_s(RARE, 2048, 0, 0.0), "as its hosts would"


def test_a_fleets_history_replaces_the_assumption_and_fades() -> None:
    fleet = Hazard().hold(1000, 1000.0)
    for day in range(1, 31):
        for _ in range(40):
            fleet = fleet.failed(1000.0 + day * DAY_S)
    now = 1000.0 + 30 * DAY_S
    assert fleet.per_node_s(now) * DAY_S == pytest.approx(0.04, rel=0.02)
    idle = fleet.hold(-1000, now)
    assert idle.nodes == 0
    later = idle.per_node_s(now + 3600 * DAY_S)
    assert later == pytest.approx(RARE)
    assert idle.as_of(now + 30 * DAY_S).failures == pytest.approx(fleet.failures / 2)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-3, 5), st.booleans()), max_size=20))
def test_how_often_the_history_is_looked_at_does_not_change_it(moves: list[tuple[int, int, bool]]) -> None:
    now, seldom, often = 1000.0, Hazard(), Hazard()
    for days, more, failed in moves:
        for step in range(4):
            often = often.as_of(now + days * DAY_S * step / 4) if often.at else often
        now += days * DAY_S
        seldom, often = seldom.hold(more, now), often.hold(more, now)
        if failed:
            seldom, often = seldom.failed(now), often.failed(now)
    assert often.failures == pytest.approx(seldom.failures, abs=1e-3)
    assert often.node_s == pytest.approx(seldom.node_s, rel=1e-6, abs=1.0)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_estimated_while_hosts_get_worse_costs_little_more_than_what_is_right(seed: int) -> None:
    """Half a year of a job on 500 nodes, whose hosts fail more and more often; each week is held against its best."""
    random, nodes, save_s = Random(seed), 500, 2.0
    fleet, now = Hazard().hold(nodes, 1.0), 1.0
    spent = best = 0.0
    for week in range(26):
        rate = RARE * 4 ** (week / 26)
        estimate = interval.mtbf_s(fleet.per_node_s(now), nodes, 0, 0.0)
        spent += cost(interval.optimum_s(save_s, estimate), save_s, 1 / (rate * nodes)) - 1
        best += cost(interval.optimum_s(save_s, 1 / (rate * nodes)), save_s, 1 / (rate * nodes)) - 1
        end = now + 7 * DAY_S
        while (now := now + random.expovariate(rate * nodes)) < end:
            fleet = fleet.failed(now)
        now = end
    assert spent <= 1.03 * best


def test_what_is_lost_is_at_most_all() -> None:
    assert interval.lost_ratio(60.0, 1.0, 30.0, 3600.0) == pytest.approx(1 / 61 + 60 / 3600)
    assert interval.lost_ratio(10.0, 100.0, 3600.0, 60.0) == 1.0
