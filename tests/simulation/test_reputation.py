"""Lemons are found and good hosts are left alone, in histories that nobody has seen before."""

import random

from tests.simulation.reputation_histories import History

# Enough that chance decides nothing: about fifty lemons among 1,600 hosts.
FRESH = 8
LEAST = 0.85


def test_lemons_are_quarantined_and_good_hosts_are_not() -> None:
    seeds = [random.randrange(1 << 32) for _ in range(FRESH)]
    verdicts = [History(seed).live() for seed in seeds]
    right = sum(len(each.quarantined & each.lemons) for each in verdicts)
    precision = right / sum(len(each.quarantined) for each in verdicts)
    recall = right / sum(len(each.lemons) for each in verdicts)
    assert precision >= LEAST, f"precision {precision:.2f} and recall {recall:.2f} with seeds {seeds}"
    assert recall >= LEAST, f"precision {precision:.2f} and recall {recall:.2f} with seeds {seeds}"
