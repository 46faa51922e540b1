"""Names of things: gangs, rounds and ranks.

A round fences: two values that differ only in `round` are different processes at different times, and
whatever arrives under the lower one no longer counts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class GangKey:
    """Ranks placed and started together: the `gang`-th gang of a role of a job."""

    job: int
    role: str
    gang: int

    def __str__(self) -> str:
        """Give `1/trainer/0`."""
        return f"{self.job}/{self.role}/{self.gang}"

    def at(self, round_: int) -> "RoundKey":
        """Name one world of this gang."""
        return RoundKey(self.job, self.role, self.gang, round_)


@dataclass(frozen=True, slots=True, order=True)
class RoundKey:
    """One world of a gang."""

    job: int
    role: str
    gang: int
    round: int

    def __str__(self) -> str:
        """Give `1/trainer/0@2`."""
        return f"{self.job}/{self.role}/{self.gang}@{self.round}"

    @property
    def gang_key(self) -> GangKey:
        """The gang without its round."""
        return gang_key(self.job, self.role, self.gang)

    def rank(self, rank: int) -> "RankKey":
        """Name one rank of this world."""
        return RankKey(self.job, self.role, self.gang, self.round, rank)

    def ranks(self, world_size: int) -> "tuple[RankKey, ...]":
        """Name all ranks of this world."""
        return _rank_keys(self, world_size)


@dataclass(frozen=True, slots=True, order=True)
class RankKey:
    """One training process. It is started at most once, ever: a restart has another round."""

    job: int
    role: str
    gang: int
    round: int
    rank: int

    def __str__(self) -> str:
        """Give `1/trainer/0@2#3`."""
        return f"{self.job}/{self.role}/{self.gang}@{self.round}#{self.rank}"

    @property
    def gang_key(self) -> GangKey:
        """The gang this rank belongs to."""
        return gang_key(self.job, self.role, self.gang)

    @property
    def round_key(self) -> RoundKey:
        """The world this rank belongs to."""
        return _round_key(self.job, self.role, self.gang, self.round)

    @property
    def unit(self) -> str:
        """A name fit for a file or a systemd unit: `j1-trainer-0-r2-rank3`."""
        return f"j{self.job}-{self.role}-{self.gang}-r{self.round}-rank{self.rank}"


# Each of a world's ranks is asked for these several times a report; one object each is also found sooner in tables.
gang_key = lru_cache(maxsize=1 << 13)(GangKey)
_round_key = lru_cache(maxsize=1 << 13)(RoundKey)


# Whatever is done to a large world as a whole looks at each of its ranks several times in one turn.
@lru_cache(maxsize=8)
def _rank_keys(world: RoundKey, world_size: int) -> tuple[RankKey, ...]:
    return tuple(world.rank(number) for number in range(world_size))


def numbers(ranks: Iterable[int]) -> str:
    """Give `0-3, 7` for 0, 1, 2, 3 and 7."""
    spans: list[list[int]] = []
    for rank in sorted(ranks):
        if spans and rank == spans[-1][1] + 1:
            spans[-1][1] = rank
        else:
            spans.append([rank, rank])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)
