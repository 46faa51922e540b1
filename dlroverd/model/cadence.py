"""How often a world is to save, and what that was worked out from."""

from dataclasses import dataclass

from dlroverd.model.world import Saves


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an interval was worked out from, in seconds.

    `save_s` is how long a save holds the training up, `mtbf_s` the mean time between two failures of the job,
    `restart_s` what each costs besides the steps done again. `save_known`, `restart_known`: measured, not assumed.
    """

    save_s: float
    mtbf_s: float
    restart_s: float
    save_known: bool = False
    restart_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """A save each `interval_s`, which is each `every` steps at the world's pace, counted from step `since` on.

    Up to `since` the one before it counts: `was_every`, from `was_since` on. `basis` is None where the job says the
    interval.
    """

    interval_s: float
    every: int
    since: int
    was_every: int = 0
    was_since: int = 0
    basis: Basis | None = None

    def next_due(self, step: int) -> int:
        """Give the first step from `step` on at which a save is due."""
        rounds = max(1, -(-(step - self.since) // self.every))
        return self.since + rounds * self.every

    def saves(self, at: int) -> Saves:
        """Give what the ranks are told; `at`: see there."""
        was_every, was_since = self.was_every, self.was_since
        return Saves(at=at, every=self.every, since=self.since, was_every=was_every, was_since=was_since)


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceView:
    """How often the ranks of a world are told to save: each `interval_s`, by its pace each `every` steps.

    It was worked out from how long a save holds the training up, the mean time between two failures of the job, and
    what a restart costs; `mtbf_s` is 0 where the job says the interval. What is not `..._known` is assumed, and not
    measured. `lost_ratio` is the share of the time that saves, steps done again and restarts are expected to cost.
    """

    interval_s: float
    every: int
    save_s: float = 0.0
    mtbf_s: float = 0.0
    restart_s: float = 0.0
    lost_ratio: float = 0.0
    save_known: bool = False
    restart_known: bool = False
