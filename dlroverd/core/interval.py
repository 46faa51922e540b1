"""How often a training should save: the interval at which saves and steps done again cost the least. Pure arithmetic.

With C the time that a save holds the training up and M the mean time between failures, a first approximation is
sqrt(2 C M) (J. W. Young, A first order approximation to the optimum checkpoint interval, CACM 17(9), 1974). Used is
the better one of J. T. Daly, A higher order estimate of the optimum checkpoint interval for restart dumps, FGCS 22(3),
2006, equation 37: for C < 2M

    sqrt(2 C M) (1 + sqrt(C / 2M) / 3 + (C / 2M) / 9) - C

and M from there on. What a restart costs does not move the optimum (Daly, section 3), only what is lost in all.

A job fails as often as its hosts do, and as it does by itself. A host fails as often as Meta measured on RSC-1
(reputation.py), until this fleet has a history: that counts as one failure seen. What a job has failed more often than
its hosts would have is its own doing, over the time that it has run and a few hours more.
"""

from dataclasses import dataclass
from math import log, sqrt

from dlroverd.core.reputation import DAY_S, GOOD_PER_DAY

# Below the floor even a fast save is noise for storage; above the ceiling nobody wants to lose that much, however rare.
FLOOR_S, CEILING_S = 10.0, 3600.0
# Taken until measured: the copy of a state into memory, and a restart of a job in place.
ASSUMED_SAVE_S, ASSUMED_RESTART_S = 1.0, 60.0
# One crash right after the start does not make a job one that crashes each minute.
_MORE_S = 6 * 3600.0
# A fleet changes: what happened this long ago counts half.
HALF_LIFE_S = 30 * DAY_S


@dataclass(frozen=True, slots=True)
class Hazard:
    """How often hosts fail under jobs: failures, and node-seconds of work, both fading, as of `at`; on `nodes` now.

    All is rounded, so that two machines' mathematics come to the same state.
    """

    failures: float = 0.0
    node_s: float = 0.0
    at: float = 0.0
    nodes: int = 0

    def as_of(self, now: float) -> "Hazard":
        """Give it with the time up to `now` in it."""
        past_s = max(0.0, now - self.at) if self.at else 0.0
        left = 0.5 ** (past_s / HALF_LIFE_S)
        worked_s = self.nodes * (1 - left) * HALF_LIFE_S / log(2)
        return Hazard(
            round(self.failures * left, 6), round(self.node_s * left + worked_s, 3), max(self.at, now), self.nodes
        )

    def hold(self, more: int, now: float) -> "Hazard":
        """Have jobs hold that many more nodes from `now` on."""
        known = self.as_of(now)
        return Hazard(known.failures, known.node_s, known.at, max(0, known.nodes + more))

    def failed(self, now: float) -> "Hazard":
        """Count a failure."""
        known = self.as_of(now)
        return Hazard(known.failures + 1.0, known.node_s, known.at, known.nodes)

    def per_node_s(self, now: float) -> float:
        """Estimate how often a host fails, per second."""
        known = self.as_of(now)
        return (1 + known.failures) / (DAY_S / GOOD_PER_DAY + known.node_s)


def mtbf_s(host_rate: float, nodes: int, failures: int, worked_s: float) -> float:
    """Estimate the seconds between two failures of a job on `nodes` nodes, which failed so often in `worked_s` seconds.

    `host_rate` is how often one host fails, per second.
    """
    hosts = host_rate * max(1, nodes)
    own = max(0.0, failures - hosts * worked_s) / (worked_s + _MORE_S)
    return 1 / (hosts + own)


def optimum_s(save_s: float, mtbf: float) -> float:
    """Give the best time between two saves, in seconds, within floor and ceiling."""
    half = save_s / (2 * mtbf)
    best = mtbf if half >= 1 else sqrt(2 * save_s * mtbf) * (1 + sqrt(half) / 3 + half / 9) - save_s
    return min(max(best, FLOOR_S), CEILING_S)


def lost_ratio(interval_s: float, save_s: float, restart_s: float, mtbf: float) -> float:
    """Give the share of the time that saves, steps done again and restarts cost, to first order; 1 at most."""
    return min(1.0, save_s / (interval_s + save_s) + (interval_s / 2 + restart_s) / mtbf)
