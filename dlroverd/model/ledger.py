"""Where a job's time went since it was submitted. Pure: each stretch of time belongs to one category."""

from dataclasses import dataclass, replace
from enum import StrEnum


class Category(StrEnum):
    """What a job does with its time.

    PRODUCTIVE  steps that count
    CHECKPOINTING  writing a checkpoint, of a job that tells of it; of others that lies within the steps
    REDONE      steps that an older world had made before
    STARTING    until the first step of its first world
    RESTARTING  from the first sign of a fault, or from a stop on purpose, until the next world's first step
    STOPPING    being stopped for good
    WAITING     for nodes, for its turn, or suspended
    UNKNOWN     its ranks run, and no step of it was ever seen
    """

    PRODUCTIVE = "productive"
    CHECKPOINTING = "checkpointing"
    REDONE = "redone"
    STARTING = "starting"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    WAITING = "waiting"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Times:
    """A sum for each category: whole microseconds, or those times nodes."""

    productive: int = 0
    redone: int = 0
    starting: int = 0
    restarting: int = 0
    stopping: int = 0
    waiting: int = 0
    unknown: int = 0
    checkpointing: int = 0

    def plus(self, category: Category, amount: int) -> "Times":
        """Give the sums with `amount` more of one category."""
        return replace(self, **{category.value: getattr(self, category.value) + amount})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A job's time up to `since`, and what it has done from `turned_at` on; `category` None: it has ended.

    `nodes` is how many nodes it holds. `before` and `before_since` are what it did before, and from when on: a fault
    may turn out to have begun earlier than it was noticed. `placed_at` is when it first had its nodes, 0 before that.
    """

    submitted_at: float
    category: Category | None
    since: float
    turned_at: float
    nodes: int = 0
    before: Category | None = None
    before_since: float = 0.0
    placed_at: float = 0.0
    steps_seen: bool = False
    time_us: Times = Times()
    node_time_us: Times = Times()

    def as_of(self, now: float) -> "Ledger":
        """Give the ledger with the time up to `now` in it."""
        return self._spent(self.category, now)

    def turn_to(self, category: Category | None, at: float, *, was: Category | None = None) -> "Ledger":
        """Do something else from `at` on; what it did up to then turns out to have been `was`, if that is given."""
        was = was or self.category
        if category is was and was is self.category:
            return self
        spent, before_since = self._spent(was, at), self.turned_at if was is self.category else self.since
        return replace(spent, category=category, turned_at=spent.since, before=was, before_since=before_since)

    def hold(self, nodes: int, at: float) -> "Ledger":
        """Hold that many nodes from `at` on."""
        if nodes == self.nodes:
            return self
        spent = self._spent(self.category, at)
        return replace(spent, nodes=nodes, turned_at=spent.since, before=self.category, before_since=self.turned_at)

    def began_earlier(self, at: float) -> "Ledger":
        """Have what it does now begin at `at`, as far back as what it did before began."""
        if self.category is None or self.before is None or self.before is self.category:
            return self
        at = max(at, self.before_since)
        more = self._span_us(at, self.turned_at)
        if more <= 0:
            return self
        weighed = more * self.nodes
        return replace(
            self,
            turned_at=at,
            time_us=self.time_us.plus(self.before, -more).plus(self.category, more),
            node_time_us=self.node_time_us.plus(self.before, -weighed).plus(self.category, weighed),
        )

    def _spent(self, category: Category | None, at: float) -> "Ledger":
        at = max(at, self.since)
        if category is None:
            return replace(self, since=at)
        span = self._span_us(self.since, at)
        return replace(
            self,
            since=at,
            time_us=self.time_us.plus(category, span),
            node_time_us=self.node_time_us.plus(category, span * self.nodes),
        )

    def _span_us(self, begin: float, end: float) -> int:
        # Both ends are rounded alike, so that stretches add up to the whole.
        return round((end - self.submitted_at) * 1e6) - round((begin - self.submitted_at) * 1e6)
