"""How bad a host or device is likely to be, from what has happened on it. Pure arithmetic.

A score is a log-likelihood ratio: how much likelier the history is if the host is a lemon than if it is a good one. It
is the sum over its evidence, each halving with time. Good hosts fail at GOOD, lemons at LEMON (per node-day), and a job
crashes by itself at `own` on each of its nodes. For a cause that comes from the host with probability `blame` when both
are as likely, one failure is then worth

    ln((LEMON * blame + own * (1 - blame)) / (GOOD * blame + own * (1 - blame)))

which is ln(LEMON / GOOD) where only the host can be blamed, and goes to 0 for a job that crashes everywhere. With the
share of lemons as prior odds the score gives the probability that this one is a lemon (Bayes).

GOOD is what Meta measured on RSC-1: 6.50 failures in 1,000 node-days (Revisiting Reliability in Large-Scale Machine
Learning Research Clusters, 2024). LEMON is what a fleet cannot live with: a failure about every week. All is rounded,
so that two machines' mathematics write the same log.
"""

from math import exp, log, log2

GOOD_PER_DAY = 0.0065
LEMON_PER_DAY = 0.13
LEMON_SHARE = 0.03
DAY_S = 86400.0

_PRIOR = log(LEMON_SHARE / (1 - LEMON_SHARE))
# What is known of a job before it ran: it crashes once in so many node-days.
_OWN_NODE_DAYS = 10.0


def score_at(probability: float) -> float:
    """Give the score of a host that is a lemon with this probability."""
    return round(log(probability / (1 - probability)) - _PRIOR, 3)


# Three failures that only the host can be blamed for, within two weeks; one is enough to prefer others.
QUARANTINE_AT = score_at(0.95)
SUSPECT_AT = score_at(0.25)
# A host that is put back may fail once more, and is out again.
PARDONED_AT = score_at(0.5)


def own_rate(failures_elsewhere: int, node_days_elsewhere: float) -> float:
    """Estimate how often a job crashes on a node by itself, per day, from what it did on its other nodes."""
    return (1 + failures_elsewhere) / (_OWN_NODE_DAYS + node_days_elsewhere)


def weight(blame: float, own: float) -> float:
    """Give what one failure adds to a host's score; `blame` is 0 (the job's fault) to 1 (the host's)."""
    job = own * (1 - blame)
    return round(log((LEMON_PER_DAY * blame + job) / (GOOD_PER_DAY * blame + job)), 3)


def faded(score: float, age_s: float, half_life_s: float) -> float:
    """Give what is left of a score after `age_s`."""
    return round(score * 2 ** (-age_s / half_life_s), 6)


def fades_to_s(score: float, level: float, half_life_s: float) -> float:
    """Give how long a score takes to fade to `level`; 0 if it is there."""
    return half_life_s * log2(score / level) if score > level else 0.0


def doubt(score: float) -> float:
    """Give the probability that a host with this score is a lemon."""
    return round(1 / (1 + exp(-(score + _PRIOR))), 3)
