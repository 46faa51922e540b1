"""The agent's core itself.

Three rules shape it. Absence never stops a rank: only a tombstone does, or the word of another agent of its gang
that its round is over; the one exception is a rank whose job gave it a lease (`leases.py`). A rank is started at most
once, and only on the word of a daemon heard in this life of the agent: what is on disk may be hours old, and the daemon
may have formed the world elsewhere since. Only one log is followed until a person says otherwise, and that never
backwards: an empty or restored daemon changes nothing here.
"""

from dataclasses import dataclass, replace

from dlroverd.model.fault import LEASE_RAN_OUT
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.model.world import Desired, Held, Observed, Peer, RankObservation
from dlroverd_agent.core import notices, refusals
from dlroverd_agent.core.actions import (
    Action,
    AskNow,
    AskPeer,
    CarryOut,
    EndLeft,
    Followed,
    Forget,
    Reconnect,
    SaveFollowed,
    Say,
    SendObserved,
    Start,
    Stop,
)
from dlroverd_agent.core.comparison import Comparison
from dlroverd_agent.core.findings import Findings
from dlroverd_agent.core.inputs import (
    Acked,
    BeatHeard,
    Checked,
    CheckupMade,
    Connected,
    DesiredArrived,
    DevicesSeen,
    Disconnected,
    Input,
    KnownRound,
    RankChanged,
    Recovered,
    RoundsHeard,
    SavesStaged,
    SignalsHeard,
    Surveyed,
    SurveyFailed,
    SuspectCalled,
    Ticked,
)
from dlroverd_agent.core.leases import Leases
from dlroverd_agent.core.rebooting import Rebooting

# The daemon holds an acknowledgement back for 8 s, as nobody waits for it: after this time it was lost.
ACK_LATE_S, ACK_LATEST_S = 15.0, 60.0
# The daemon calls a node unreachable after as long: before that nothing can have been formed without it.
CUT_OFF_S = 5.0
ASK_EVERY_S = 5.0
# Gangs that this node has no part in any more, of which it can still tell others that they ended.
REMEMBERED_GANGS = 1000

_ORDER = {state: n for n, state in enumerate(RankState)}


@dataclass(slots=True)
class _Rank:
    seen: RankObservation
    started: bool
    stop: tuple[float, float] | None = None
    stray: bool = False  # not started by this agent, nor found by it at its start

    @property
    def gone(self) -> bool:
        return self.seen.state is RankState.GONE


class AgentCore:
    """One node's ranks and the desired state it follows.

    `now` is seconds of a clock that never goes back, and goes on while the host sleeps.
    """

    def __init__(self, node: str, followed: Followed) -> None:
        """Begin where the disk says that this node was."""
        self._node = node
        self.followed = followed
        self._ranks: dict[RankKey, _Rank] = {}
        self._fences: dict[GangKey, int] = {}  # rounds up to and including these are never started
        self._told = False  # whether a desired state arrived in this life
        self._said = ""
        self.version = 1
        self._acked = 0
        self._sent_version = 0
        self._sent_at, self._patience_s = 0.0, ACK_LATE_S
        self._connected = False
        self._found = Findings()
        self._comparison = Comparison()
        self._leases = Leases()
        self._past: dict[GangKey, int] = {}  # fences of gangs that this node has no part in any more
        self._connected_at = 0.0  # when it last was
        self._asked_at = 0.0
        self._rebooting = Rebooting()
        self._drilled = 0  # the newest drill carried out in this life, which is the only place that knows it

    def observed(self) -> Observed:
        """All that is seen now, as the daemon is told it."""
        return replace(
            self._found.told(),
            version=self.version,
            position=self.followed.position,
            ranks=tuple([rank.seen for rank in self._ranks.values()]),
            differences=self._comparison.found,
            surveyed=self._comparison.surveyed,
        )

    def seen(self, key: RankKey) -> RankObservation | None:
        """What is seen of one rank; None if it is not known (any more)."""
        rank = self._ranks.get(key)
        return rank.seen if rank is not None else None

    @property
    def has_leases(self) -> bool:
        """Whether the daemon is to say of each beat that it was heard."""
        return bool(self._leases)

    def out_of_lease(self, key: RankKey, now: float) -> bool:
        """Whether the lease of a rank that is not gone has run out."""
        return self._leases.over(key, now)

    def known(self, gangs: tuple[GangKey, ...]) -> tuple[KnownRound, ...]:
        """What this node knows of gangs, for another one that is cut off; nothing of those it never heard of."""
        newest: dict[GangKey, int] = {}
        rounds = [each.round for each in self.followed.held.assignments] + [key.round_key for key in self._ranks]
        for each in rounds:
            newest[each.gang_key] = max(each.round, newest.get(each.gang_key, -1))
        known = []
        for gang in gangs:
            stopped = max(self._fences.get(gang, -1), self._past.get(gang, -1))
            if (last := max(newest.get(gang, -1), stopped)) >= 0:
                known.append(KnownRound(gang=gang, newest=last, stopped=stopped))
        return tuple(known)

    def handle(self, item: Input, now: float) -> tuple[Action, ...]:
        """Take one input; give what follows from it, in the order in which it is to be done."""
        actions: list[Action] = []
        if self._connected:
            self._connected_at = now
        match item:
            case DesiredArrived():
                self._take(item.desired, now, actions)
            case RankChanged():
                self._move(item.seen, now, actions)
            case Recovered():
                self._connected_at = now  # a limit of its own for the first session
                self._recover(item.ranks)
                actions += notices.again(self.followed.held, self._alive())
            case Connected():
                self._connected, self._acked = True, 0
                self._comparison.new_session()
                self._sent_version, self._sent_at = item.version, now
                self._renew(item.asked_at, now, actions)
            case Disconnected():
                self._connected = False
                self._rebooting.boot = ""  # the daemon may change its mind meanwhile
            case Acked():
                self._acked, self._patience_s = max(self._acked, item.version), ACK_LATE_S
            case BeatHeard():
                self._renew(item.asked_at, now, actions)
            case Checked() | SuspectCalled() | DevicesSeen() | SignalsHeard() | SavesStaged() | CheckupMade():
                self.version += self._found.take(item, actions)
            case Surveyed() | SurveyFailed():
                self._compare(item, actions)
            case RoundsHeard():
                self._hear(item, actions)
            case Ticked():
                actions += self._leases.end(self._alive(), now)
                self._ask_peers(now, actions)
        self._rebooting.look(now, actions, empty=lambda: all(rank.gone for rank in self._ranks.values()))
        late = now - self._sent_at > self._patience_s
        if self._connected and (self.version > self._sent_version or (self.version > self._acked and late)):
            # A daemon that is behind is not helped by hearing the same again and again.
            again = self.version == self._sent_version
            self._patience_s = min(2 * self._patience_s, ACK_LATEST_S) if again else ACK_LATE_S
            self._sent_version, self._sent_at = self.version, now
            actions.append(SendObserved(self.observed()))
        return tuple(actions)

    # ---- ranks

    def _recover(self, ranks: tuple[RankObservation, ...]) -> None:
        for seen in ranks:
            self._list(_Rank(seen, started=True))
            if seen.state is not RankState.GONE:
                self._leases.note(seen.key, self.followed.held.jobs)
            self._fence(seen.key.gang_key, seen.key.round - 1)
        self._list_assigned()
        self.version += 1

    def _move(self, seen: RankObservation, now: float, actions: list[Action]) -> None:
        rank = self._ranks.get(seen.key)
        if rank is None or _ORDER[seen.state] < _ORDER[rank.seen.state]:
            return  # forgotten, or late
        before = rank.seen
        pid, started_at = seen.pid or before.pid, seen.started_at or before.started_at
        exit_, unkillable = seen.exit or before.exit, seen.unkillable
        rank.seen = RankObservation(
            key=seen.key, state=seen.state, pid=pid, started_at=started_at, exit=exit_, unkillable=unkillable
        )
        if rank.seen == before:
            return
        self.version += 1
        actions += self._leases.begun(rank.seen)
        if before.exit is None and rank.seen.exit is not None and rank.seen.exit.lost == LEASE_RAN_OUT:
            actions.append(Say(f"{seen.key} has ended: {LEASE_RAN_OUT}."))
        if rank.gone:
            self._leases.drop(seen.key)
            self._start(now, actions)

    def _compare(self, item: Surveyed | SurveyFailed, actions: list[Action]) -> None:
        before = self._comparison.told
        recorded = {key: rank.seen for key, rank in self._ranks.items() if not rank.stray}
        for seen in self._comparison.take(item, recorded, self._over, actions):
            self._list(_Rank(seen, started=True, stray=True))
            self.version += 1
        self.version += self._comparison.told != before
        if isinstance(item, Surveyed) and item.file:
            actions.append(SaveFollowed(self.followed))

    def _over(self, key: RankKey) -> bool:
        return key.round <= max(self._fences.get(key.gang_key, -1), self._past.get(key.gang_key, -1))

    # ---- what the daemon wants

    def _take(self, desired: Desired, now: float, actions: list[Action]) -> None:
        broken = refusals.broken(desired)
        refusal = broken or refusals.not_followed(desired, self.followed, self._node)
        adopting = bool(refusal) and not broken and desired.adopt_from == self.followed.log_id
        if refusal and not adopting:
            if refusal != self._said:
                actions.append(Say(refusal))
            self._said = refusal
            return
        self._said, self._told = "", True
        # Stops need no durable word: one that a crash undid is in the next desired state again.
        for tombstone in desired.tombstones:
            self._stop(tombstone.round, (tombstone.evidence_s, tombstone.grace_s), tombstone.reason, actions)
        held = Held(assignments=desired.assignments, jobs=desired.jobs)
        followed = Followed(log_id=desired.log_id, position=desired.position, held=held)
        if followed != self.followed:
            if followed.log_id != self.followed.log_id:
                self._past, self._drilled = {}, 0
            before, self.followed = self.followed, followed
            self.version += 1
            # Kept before it is told: a rank gets no signal twice.
            actions += [SaveFollowed(followed), *notices.changed(before.held, held, self._alive())]
        self.version += self._found.wanted(desired, actions)
        self._forget(desired, actions)
        self._list_assigned()
        self._start(now, actions)
        self._rebooting.boot = desired.reboot
        self.version += self._comparison.audited(desired.audit, actions)  # all that is seen is told again
        if adopting:
            self._connected = False  # until the new hello: the daemon believes no report before it
            actions.append(Reconnect())
            return
        # What comes before the hello is acknowledged may have been made before it, and name a drill that an earlier
        # life of this agent has carried out.
        if self._acked:
            actions += [CarryOut(drill) for drill in desired.drills if drill.id > self._drilled]
        self._drilled = max((self._drilled, *(drill.id for drill in desired.drills)))

    def _stop(self, last: RoundKey, times: tuple[float, float], reason: str, actions: list[Action]) -> None:
        """Stop every rank of a gang up to and including the round `last`, and never start one."""
        gang = last.gang_key
        self._fence(gang, last.round)
        for key, rank in list(self._ranks.items()):
            if key.gang_key != gang or key.round > last.round or rank.gone:
                continue
            if not rank.started:
                self._drop(key)
                self.version += 1
            elif rank.stop != times:
                rank.stop = times
                actions.append(EndLeft(key) if rank.stray else Stop(key, *times, reason))

    def _list(self, rank: _Rank) -> None:
        """Make a rank known, in the order of keys, in which each report tells of all of them."""
        last = next(reversed(self._ranks), rank.seen.key)
        self._ranks[rank.seen.key] = rank
        if rank.seen.key < last:
            self._ranks = {key: self._ranks[key] for key in sorted(self._ranks)}

    def _drop(self, key: RankKey) -> None:
        del self._ranks[key]
        self._leases.drop(key)

    def _forget(self, desired: Desired, actions: list[Action]) -> None:
        assigned = {each.round for each in desired.assignments}
        buried = {each.round.gang_key: each.round.round for each in desired.tombstones}
        for key, rank in list(self._ranks.items()):
            if key.round_key in assigned or key.round <= buried.get(key.gang_key, -1):
                continue
            if not rank.started or rank.gone:
                self._drop(key)
                self.version += 1
                actions += [Forget(key)] if rank.started else []
        named = {key.gang_key for key in self._ranks} | {each.gang_key for each in assigned} | buried.keys()
        for gang in sorted(self._fences.keys() - named):
            self._past[gang] = self._fences.pop(gang)
        for gang in list(self._past)[: len(self._past) - REMEMBERED_GANGS]:
            del self._past[gang]

    def _list_assigned(self) -> None:
        """Make every rank known that is to run here: what is not listed, the daemon takes for lost."""
        for assignment in self.followed.held.assignments:
            if assignment.round.round <= self._fences.get(assignment.round.gang_key, -1):
                continue
            for key in assignment.ranks():
                if key not in self._ranks:
                    seen = RankObservation(key=key, state=RankState.ASSIGNED)
                    self._list(_Rank(seen, started=False))
                    self._leases.note(key, self.followed.held.jobs)
                    self.version += 1

    def _start(self, now: float, actions: list[Action]) -> None:
        """Start what is assigned and new, but no round beside another one of its gang, and none without its lease."""
        if not self._told or all(rank.started for rank in self._ranks.values()):
            return
        alive = {(key.gang_key, key.round) for key in self._alive()}
        specs = {each.job: each.spec for each in self.followed.held.jobs}
        for assignment in self.followed.held.assignments:
            if assignment.checking:
                continue
            gang, round_ = assignment.round.gang_key, assignment.round.round
            if any(other == gang and at != round_ for other, at in alive):
                continue
            waiting = [key for key in assignment.ranks() if key in self._ranks and not self._ranks[key].started]
            if not all(self._leases.fresh(key, now) for key in waiting):
                actions.append(AskNow())
                continue
            for key in waiting:
                self._ranks[key].started = True
                self._fence(gang, round_ - 1)
                actions.append(Start(key, assignment, specs[key.job], self._leases.begin(key)))

    def _alive(self) -> set[RankKey]:
        return {key for key, rank in self._ranks.items() if rank.started and not rank.gone}

    def _fence(self, gang: GangKey, round_: int) -> None:
        self._fences[gang] = max(self._fences.get(gang, -1), round_)

    # ---- without the daemon

    def _renew(self, asked_at: float, now: float, actions: list[Action]) -> None:
        actions += self._leases.heard(asked_at, self._alive())
        self._start(now, actions)

    def _ask_peers(self, now: float, actions: list[Action]) -> None:
        """Ask the peers of each gang that runs here, once the daemon is away for longer than a blip."""
        away = not self._connected and now - self._connected_at > CUT_OFF_S
        if not away or now - self._asked_at < ASK_EVERY_S:
            return
        self._asked_at = now
        running = {
            key.round_key for key, rank in self._ranks.items() if rank.started and not rank.gone and not rank.stop
        }
        gangs: dict[Peer, list[GangKey]] = {}
        for assignment in self.followed.held.assignments:
            for peer in assignment.peers if assignment.round in running else ():
                if peer.port:
                    gangs.setdefault(peer, []).append(assignment.round.gang_key)
        actions += [AskPeer(peer, tuple(those)) for peer, those in gangs.items()]

    def _hear(self, heard: RoundsHeard, actions: list[Action]) -> None:
        """Stop the ranks of rounds that are over, as a peer says; once the daemon is back its word counts again."""
        if self._connected or heard.log_id != self.followed.log_id:
            return
        specs = {each.job: each.spec for each in self.followed.held.jobs}
        for each in heard.rounds:
            over, spec = max(each.stopped, each.newest - 1), specs.get(each.gang.job)
            ranks = [
                (key, rank) for key, rank in self._ranks.items() if key.gang_key == each.gang and key.round <= over
            ]
            if spec is None or not any(rank.started and not rank.gone and not rank.stop for _, rank in ranks):
                continue
            actions.append(
                Say(
                    f"The daemon is away, and node {heard.node} says that round {over} of {each.gang} is over: "
                    "this node's ranks of it are stopped."
                )
            )
            self._stop(each.gang.at(over), (0.0, spec.restart_grace_s), "its round is over", actions)
