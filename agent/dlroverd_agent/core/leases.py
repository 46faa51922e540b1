"""Leases: how long ranks may run on without a word from the daemon, and since when that counts.

A lease runs from the time of a beat of ours which the daemon is known to have heard, not from that of its answer: what
the daemon said may have waited in a buffer while this host was cut off or asleep, and whoever is to take a rank's place
counts from when the daemon heard of us last. Only a lease that ran from a later beat can take the place of one.
"""

from collections.abc import Container, Iterable

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import JobDescriptor, RankObservation
from dlroverd_agent.core.actions import Action, Renew, Stop


class Leases:
    """The leases of this node's ranks. Times are of a clock that goes on while the host sleeps."""

    def __init__(self) -> None:
        """Begin with nothing known: what was found running has a keeper, which knows more."""
        self._heard_at = 0.0
        self._lengths: dict[RankKey, float] = {}
        self._ended: set[RankKey] = set()
        self._starting: dict[RankKey, float] = {}

    def __bool__(self) -> bool:
        """Whether there is any, so that the daemon is to say of each beat that it was heard."""
        return bool(self._lengths)

    def note(self, key: RankKey, jobs: Iterable[JobDescriptor]) -> None:
        """Note how long a rank's lease is, as its spec says: it is needed for longer than the daemon sends that."""
        length_s = next((each.spec.role(key.role).lease_s for each in jobs if each.job == key.job), 0.0)
        if length_s:
            self._lengths[key] = length_s

    def drop(self, key: RankKey) -> None:
        """Let go of a rank that is gone, or was never started."""
        self._lengths.pop(key, None)
        self._starting.pop(key, None)
        self._ended.discard(key)

    def heard(self, asked_at: float, alive: Container[RankKey]) -> list[Action]:
        """Note that the daemon heard of this node at a time: leases run from there, those of ranks alive anew."""
        if asked_at <= self._heard_at:
            return []
        self._heard_at = asked_at
        renewed = tuple((key, self.until(key)) for key in sorted(self._lengths) if key in alive)
        return [Renew(renewed)] if renewed else []

    def begin(self, key: RankKey) -> float:
        """Give the lease that a rank is started with: when it runs out, 0 if it has none."""
        self._starting[key] = self.until(key)
        return self._starting[key]

    def begun(self, seen: RankObservation) -> list[Action]:
        """Renew again the lease of a rank that runs now: while it was being started it had no keeper to hear of it."""
        if seen.state is not RankState.RUNNING or seen.key not in self._starting:
            return []
        until = self.until(seen.key)
        return [Renew(((seen.key, until),))] if until > self._starting.pop(seen.key) else []

    def until(self, key: RankKey) -> float:
        """Say when a rank's lease runs out; 0: it has none, or that is not known."""
        length_s = self._lengths.get(key, 0.0)
        return self._heard_at + length_s if self._heard_at and length_s else 0.0

    def fresh(self, key: RankKey, now: float) -> bool:
        """Tell whether a rank that is to be started has time to learn of its next lease, or needs none."""
        length_s = self._lengths.get(key, 0.0)
        return not length_s or now < self._heard_at + length_s / 2

    def over(self, key: RankKey, now: float) -> bool:
        """Tell whether a rank's lease has run out."""
        return 0.0 < self.until(key) <= now

    def end(self, alive: Container[RankKey], now: float) -> list[Action]:
        """Stop the whole tree of each rank whose lease has run out: its keeper has ended, or is ending, the rank."""
        actions: list[Action] = []
        for key in sorted(self._lengths.keys() - self._ended):
            if key in alive and self.over(key, now):
                self._ended.add(key)
                actions.append(Stop(key, evidence_s=0.0, grace_s=0.0))
        return actions
