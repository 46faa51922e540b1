"""What must be true of a simulated fleet, whatever is done to it. Each check is named; the first broken one ends it.

Knows the truth of the process world and of the durable log, and nothing of how either came to be.
"""

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field

from dlroverd.core import invariants
from dlroverd.core.handle import Decision
from dlroverd.core.passes import requests
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.checkpoint import StagedCheckpoint
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeState
from dlroverd.model.place import place
from dlroverd.model.placement import NoFit

# Of a gang, so many newest worlds are remembered. A host that thaws may still start ranks of an older world, which the
# stop that waits for it then ends; but none so old.
_WORLDS_KEPT = 64


class Violation(Exception):  # noqa: N818 - the name says what it is
    """A check is broken; `check` is its name."""

    def __init__(self, check: str, what: str) -> None:
        """Say which check, and what breaks it."""
        super().__init__(f"{check}: {what}")
        self.check = check


@dataclass(slots=True)
class _World:
    """One round as the durable log has it, and which of its ranks were started and live."""

    nodes: tuple[tuple[str, int, int], ...]  # node, first rank, ranks
    unchecked: bool
    started: set[int] = field(default_factory=set)
    alive: set[int] = field(default_factory=set)
    running: int = 0

    def seat(self, rank: int) -> str:
        """Name the node that a rank belongs to; "" if there is no such rank."""
        at = bisect_right(self.nodes, rank, key=lambda part: part[1]) - 1
        node, first, count = self.nodes[at]
        return node if at >= 0 and rank < first + count else ""


@dataclass(slots=True)
class _Gang:
    """What is known of a gang: its newest worlds, what each node was told to stop, and the world that steps."""

    worlds: dict[int, _World] = field(default_factory=dict)
    newest: int = 0
    buried: dict[str, int] = field(default_factory=dict)
    rounds_on: dict[str, Counter[int]] = field(default_factory=dict)
    whole: int = 0
    commits: set[str] = field(default_factory=set)


class Checks:
    """The truth, and what it must be like."""

    def __init__(self, slots: dict[str, int], full_every: int) -> None:
        """Begin with the size of each node and nothing running; each `full_every` turns the whole state is checked."""
        self._slots = slots
        self._full_every = full_every
        self.turns = 0
        self.full = 0
        self.starts = 0
        self._accepted: dict[str, int] = {}
        self._forgotten: set[int] = set()
        self._gangs: dict[GangKey, _Gang] = {}
        self._gangs_of: dict[int, set[GangKey]] = {}
        self._alive_on: Counter[str] = Counter()

    # ---- the daemon

    def after_turn(self, state: State, decision: Decision) -> None:
        """Hold the state against the core's promises: touched keys each time, all of it now and then."""
        self.turns += 1
        broken = invariants.check_touched(state, decision.events)
        if broken:
            raise Violation("promises_hold", f"after {decision.events}: {broken}")
        if self.turns % self._full_every == 0:
            self.whole(state)

    def whole(self, state: State) -> None:
        """Hold all of the state against all promises."""
        self.full += 1
        if broken := invariants.check(state):
            raise Violation("promises_hold", f"at position {state.m.position}: {broken}")
        self._waiting_is_true(state)

    def durable(self, events: tuple[ev.Event, ...]) -> None:
        """Learn what a record that is now durable says. A round's number is used once."""
        for event in events:
            match event:
                case ev.WorldFormed():
                    self._formed(event)
                case ev.WorldCleared():
                    self._world(event.round).unchecked = False
                case ev.GangStopping():
                    for node in event.nodes:
                        self._bury(node, event.tombstone.round)
                case ev.StaleRanksSeen():
                    self._bury(event.node, event.tombstone.round)
                case ev.RanksSeen():
                    for seen in event.ranks:
                        if seen.state is RankState.GONE and self._lives(seen.key):
                            raise Violation("gone_is_gone", f"{seen.key} lives on, and the log says {seen.exit}")
                case ev.NodeMoved(to=NodeState.FOREIGN):
                    raise Violation("log_is_never_foreign", f"{event.node} is ahead of its own log: {event.reason}")
                case ev.CheckpointCommitted():
                    self._commit(event)
                case ev.JobForgotten():
                    self._forget(event.job)
                case _:
                    continue

    def _commit(self, event: ev.CheckpointCommitted) -> None:
        gang = self._gang(event.round.gang_key)
        if event.save in gang.commits:
            raise Violation("commits_once", f"{event.save} of {event.round}")
        if event.round.round < gang.newest:
            raise Violation("old_rounds_commit_nothing", f"{event.save} of {event.round}: there is {gang.newest}")
        gang.commits.add(event.save)

    def _formed(self, event: ev.WorldFormed) -> None:
        key, gang = event.round.gang_key, self._gang(event.round.gang_key)
        if event.round.round <= gang.newest:
            raise Violation("rounds_rise", f"{event.round} formed after round {gang.newest}")
        gang.newest = event.round.round
        nodes, first = [], 0
        for grant in event.grants:
            nodes.append((grant.node, first, grant.slots))
            first += grant.slots
        gang.worlds[gang.newest] = _World(tuple(nodes), unchecked=event.checking)
        self._gangs_of.setdefault(key.job, set()).add(key)
        for old in [number for number in gang.worlds if number <= gang.newest - _WORLDS_KEPT]:
            if not gang.worlds[old].alive:
                del gang.worlds[old]

    def _forget(self, job: int) -> None:
        self._forgotten.add(job)
        for key in self._gangs_of.pop(job, ()):
            if not any(world.alive for world in self._gangs[key].worlds.values()):
                del self._gangs[key]

    def accepted(self, request: str, job: int) -> None:
        """A client was told that its job is taken; the same request is the same job."""
        if self._accepted.setdefault(request, job) != job:
            raise Violation("job_is_never_lost", f"{request} is job {self._accepted[request]}, and then job {job}")

    def restarted(self, state: State) -> None:
        """No job that a client was told of is missing, but for those that ended long ago."""
        for request, job in self._accepted.items():
            if job not in self._forgotten and (state.requests.get(request) != job or job not in state.jobs):
                raise Violation("job_is_never_lost", f"job {job} of {request}")

    def _waiting_is_true(self, state: State) -> None:
        """The first job in the queue would really not fit."""
        if state.waiting and not state.placing:
            job = state.waiting[0][1]
            if not isinstance(place(state.free, requests.request(state, job, Limits())), NoFit):
                raise Violation("waiting_is_true", f"job {job} fits and waits: {state.jobs[job].reason}")

    def _gang(self, key: GangKey) -> _Gang:
        return self._gangs.setdefault(key, _Gang())

    def _world(self, round_: RoundKey) -> _World:
        return self._gangs[round_.gang_key].worlds[round_.round]

    def _lives(self, key: RankKey) -> bool:
        gang = self._gangs.get(key.gang_key)
        world = gang.worlds.get(key.round) if gang is not None else None
        return world is not None and key.rank in world.alive

    def _bury(self, node: str, round_: RoundKey) -> None:
        buried = self._gang(round_.gang_key).buried
        buried[node] = max(buried.get(node, 0), round_.round)

    # ---- the process world

    def rank_started(self, node: str, key: RankKey, world_size: int) -> None:
        """A process begins: once ever, where the durable log has it, within what its node has."""
        gang = self._gang(key.gang_key)
        world = gang.worlds.get(key.round)
        if world is None or world.seat(key.rank) != node:
            raise Violation("act_after_log", f"{key} starts on {node}, which the durable log does not say")
        if key.rank in world.started:
            raise Violation("rank_starts_once", f"{key} on {node}")
        if world.unchecked:
            raise Violation("start_needs_a_cleared_world", f"{key} starts on {node} while its world is being checked")
        rounds = gang.rounds_on.setdefault(node, Counter())
        rounds[key.round] += 1
        if len(+rounds) > 1:
            raise Violation("rounds_do_not_meet", f"rounds {sorted(+rounds)} of {key.gang_key} on {node} at once")
        world.started.add(key.rank)
        world.alive.add(key.rank)
        self.starts += 1
        self._alive_on[node] += 1
        if self._alive_on[node] > self._slots[node]:
            raise Violation("node_is_not_over_committed", f"{self._alive_on[node]} ranks on {node}")
        world.running += 1
        if world.running == world_size:
            gang.whole = gang.whole or key.round
            if gang.whole != key.round:
                raise Violation("one_world_steps", f"{key.round_key} beside round {gang.whole}")

    def rank_ended(self, key: RankKey) -> None:
        """A process's main part has ended: its world can not step any more."""
        gang = self._gangs[key.gang_key]
        gang.worlds[key.round].running -= 1
        if gang.whole == key.round:
            gang.whole = 0

    def rank_gone(self, node: str, key: RankKey) -> None:
        """Nothing is left of a rank."""
        gang = self._gangs[key.gang_key]
        gang.worlds[key.round].alive.discard(key.rank)
        self._alive_on[node] -= 1
        gang.rounds_on[node][key.round] -= 1
        if not +gang.rounds_on[node]:
            del gang.rounds_on[node]

    def rank_signalled(self, node: str, key: RankKey) -> None:
        """An agent is about to stop a rank: only by a durable tombstone."""
        if self._gang(key.gang_key).buried.get(node, 0) < key.round:
            raise Violation("stop_needs_a_tombstone", f"{key} on {node}")

    def save_named(self, save: StagedCheckpoint) -> None:
        """A vault gives a save its name: only what the durable log has."""
        key = save.round.gang_key if save.round is not None else None
        if key not in self._gangs or save.save not in self._gangs[key].commits:
            raise Violation("act_after_log", f"{save.save} gets its name, which the durable log does not say")

    # ---- the end

    def at_rest(self, state: State) -> None:
        """After the last fault, and long enough: every job has ended, and nothing is left of any."""
        for job in state.jobs.values():
            if not job.state.final:
                raise Violation("all_ends", f"job {job.id} is {job.state} since {job.since}: {job.reason}")
            if job.state is JobState.FAILED and not job.reason:
                raise Violation("all_ends", f"job {job.id} failed without a reason")
        left = [f"{gang} on {node}" for node, gang in (*state.grants, *state.tombstones)]
        left += [f"{verdict.save} on {node}" for node, verdicts in state.verdicts.items() for verdict in verdicts]
        alive = {node: count for node, count in self._alive_on.items() if count}
        away = [node.id for node in state.nodes.values() if node.state is not NodeState.READY]
        if left or alive or away:
            raise Violation("nothing_is_left", f"held or buried: {left}; alive: {alive}; not ready: {away}")
        self.whole(state)
