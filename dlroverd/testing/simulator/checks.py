"""What must be true of a simulated fleet, whatever is done to it. Each check is named; the first broken one ends it.

Knows the truth of the process world and of the durable log, and nothing of how either came to be.
"""

from collections import Counter

from dlroverd.core import invariants
from dlroverd.core.handle import Decision
from dlroverd.core.passes import placement
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.placement import NoFit, place
from dlroverd.runtime import codec

_FULL_CHECK_EVERY_TURNS = 100


class Violation(Exception):  # noqa: N818 - the name says what it is
    """A check is broken; `check` is its name."""

    def __init__(self, check: str, what: str) -> None:
        """Say which check, and what breaks it."""
        super().__init__(f"{check}: {what}")
        self.check = check


class Checks:
    """The truth, and what it must be like."""

    def __init__(self, slots: dict[str, int]) -> None:
        """Begin with the size of each node and nothing running."""
        self._slots = slots
        self._turns = 0
        self._accepted: dict[str, int] = {}
        # What the durable log has said.
        self._formed: dict[RoundKey, dict[int, str]] = {}
        self._newest: dict[GangKey, int] = {}
        self._buried: dict[tuple[str, GangKey], int] = {}
        self._unchecked: set[RoundKey] = set()
        # The process world.
        self._starts: Counter[RankKey] = Counter()
        self._alive: set[RankKey] = set()
        self._alive_on: Counter[str] = Counter()
        self._rounds_on: dict[tuple[str, GangKey], Counter[int]] = {}
        self._alive_of: Counter[RoundKey] = Counter()
        self._whole: dict[GangKey, RoundKey] = {}

    @property
    def starts(self) -> int:
        """How many ranks were started so far."""
        return self._starts.total()

    # ---- the daemon

    def after_turn(self, state: State, decision: Decision) -> None:
        """Hold the state against the core's promises: touched keys each time, all of it now and then."""
        self._turns += 1
        broken = invariants.check_touched(state, decision.events)
        if self._turns % _FULL_CHECK_EVERY_TURNS == 0:
            broken += invariants.check(state)
            self._waiting_is_true(state)
        if broken:
            raise Violation("promises_hold", f"after {decision.events}: {broken}")

    def durable(self, events: tuple[ev.Event, ...]) -> None:
        """Learn what a record that is now durable says. A round's number is used once."""
        for event in events:
            match event:
                case ev.WorldFormed():
                    gang = event.round.gang_key
                    if event.round.round <= self._newest.get(gang, 0):
                        raise Violation("rounds_rise", f"{event.round} formed after round {self._newest[gang]}")
                    self._newest[gang] = event.round.round
                    nodes = [grant.node for grant in event.grants for _ in range(grant.slots)]
                    self._formed[event.round] = dict(enumerate(nodes))
                    if event.checking:
                        self._unchecked.add(event.round)
                case ev.WorldCleared():
                    self._unchecked.discard(event.round)
                case ev.GangStopping():
                    for node in event.nodes:
                        self._bury(node, event.tombstone.round)
                case ev.StaleRanksSeen():
                    self._bury(event.node, event.tombstone.round)
                case ev.RanksSeen():
                    for seen in event.ranks:
                        if seen.state is RankState.GONE and seen.key in self._alive:
                            raise Violation("gone_is_gone", f"{seen.key} lives on, and the log says {seen.exit}")
                case ev.NodeMoved(to=NodeState.FOREIGN):
                    raise Violation("log_is_never_foreign", f"{event.node} is ahead of its own log: {event.reason}")
                case _:
                    continue

    def replayed(self, live: State, replayed: State) -> None:
        """What the log gives after a crash is what the daemon had, byte for byte."""
        if _dump(live) != _dump(replayed):
            raise Violation("replay_equals_live", f"at position {live.m.position}")

    def accepted(self, request: str, job: int) -> None:
        """A client was told that its job is taken; the same request is the same job."""
        if self._accepted.setdefault(request, job) != job:
            raise Violation("job_is_never_lost", f"{request} is job {self._accepted[request]}, and then job {job}")

    def restarted(self, state: State) -> None:
        """No job that a client was told of is missing."""
        for request, job in self._accepted.items():
            if state.requests.get(request) != job or job not in state.jobs:
                raise Violation("job_is_never_lost", f"job {job} of {request}")

    def _waiting_is_true(self, state: State) -> None:
        """The first job in the queue would really not fit."""
        if state.waiting and not state.placing:
            job = state.waiting[0]
            if not isinstance(place(state.free, placement.request(state, job)), NoFit):
                raise Violation("waiting_is_true", f"job {job} fits and waits: {state.jobs[job].reason}")

    def _bury(self, node: str, round_: RoundKey) -> None:
        key = (node, round_.gang_key)
        self._buried[key] = max(self._buried.get(key, 0), round_.round)

    # ---- the process world

    def rank_started(self, node: str, key: RankKey, world_size: int) -> None:
        """A process begins: once ever, where the durable log has it, within what its node has."""
        self._starts[key] += 1
        if self._starts[key] > 1:
            raise Violation("rank_starts_once", f"{key} on {node}")
        if self._formed.get(key.round_key, {}).get(key.rank) != node:
            raise Violation("act_after_log", f"{key} starts on {node}, which the durable log does not say")
        if key.round_key in self._unchecked:
            raise Violation("start_needs_a_cleared_world", f"{key} starts on {node} while its world is being checked")
        rounds = self._rounds_on.setdefault((node, key.gang_key), Counter())
        rounds[key.round] += 1
        if len(+rounds) > 1:
            raise Violation("rounds_do_not_meet", f"rounds {sorted(+rounds)} of {key.gang_key} on {node} at once")
        self._alive.add(key)
        self._alive_on[node] += 1
        if self._alive_on[node] > self._slots[node]:
            raise Violation("node_is_not_over_committed", f"{self._alive_on[node]} ranks on {node}")
        self._alive_of[key.round_key] += 1
        if self._alive_of[key.round_key] == world_size:
            other = self._whole.setdefault(key.gang_key, key.round_key)
            if other != key.round_key:
                raise Violation("one_world_steps", f"{key.round_key} beside {other}")

    def rank_ended(self, key: RankKey) -> None:
        """A process's main part has ended: its world can not step any more."""
        self._alive_of[key.round_key] -= 1
        if self._whole.get(key.gang_key) == key.round_key:
            del self._whole[key.gang_key]

    def rank_gone(self, node: str, key: RankKey) -> None:
        """Nothing is left of a rank."""
        self._alive.discard(key)
        self._alive_on[node] -= 1
        self._rounds_on[node, key.gang_key][key.round] -= 1

    def rank_signalled(self, node: str, key: RankKey) -> None:
        """An agent is about to stop a rank: only by a durable tombstone."""
        if self._buried.get((node, key.gang_key), 0) < key.round:
            raise Violation("stop_needs_a_tombstone", f"{key} on {node}")

    # ---- the end

    def at_rest(self, state: State) -> None:
        """After the last fault, and long enough: every job has ended, and nothing is left of any."""
        for job in state.jobs.values():
            if not job.state.final:
                raise Violation("all_ends", f"job {job.id} is {job.state} since {job.since}: {job.reason}")
            if job.state is JobState.FAILED and not job.reason:
                raise Violation("all_ends", f"job {job.id} failed without a reason")
        left = [f"{gang} on {node}" for node, gang in (*state.grants, *state.tombstones)]
        alive = {node: count for node, count in self._alive_on.items() if count}
        away = [node.id for node in state.nodes.values() if node.state is not NodeState.READY]
        if left or alive or away:
            raise Violation("nothing_is_left", f"held or buried: {left}; alive: {alive}; not ready: {away}")
        if broken := invariants.check(state):
            raise Violation("promises_hold", f"at the end: {broken}")


def _dump(state: State) -> str:
    return codec.encode_tables(codec.tables_of(state))
