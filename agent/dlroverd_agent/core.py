"""What the agent decides: which ranks to start, stop, forget, and what to tell the daemon.

Pure, as the daemon's core is: no clock, I/O or ids; the simulator drives this same class. It is the
counterpart of dlroverd/core/desired.py (what it is told) and core/intake/reports.py (what it tells).

Three rules shape it. Absence never stops a rank: only a tombstone does. A rank is started at most once, and
only on the word of a daemon heard in this life of the agent: what is on disk may be hours old, and the daemon
may have formed the world elsewhere since. Only one log is followed until a person says otherwise, and that
never backwards: an empty or restored daemon changes nothing here.
"""

from dataclasses import dataclass, field, replace

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec, RankState
from dlroverd.model.world import Assignment, Desired, Held, Observed, RankObservation, Tombstone

# Two beats of the default interval: an acknowledgement waits for one fsync of the daemon, so it was lost by then.
ACK_LATE_S = 2.0

_ORDER = {state: n for n, state in enumerate(RankState)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """The desired state that this node follows, as kept on disk; `log_id` is "" while it follows none."""

    log_id: str = ""
    position: int = 0
    held: Held = field(default_factory=Held)


# ---- inputs


@dataclass(frozen=True, slots=True)
class Recovered:
    """The ranks found at start, dead or alive. The first input, once."""

    ranks: tuple[RankObservation, ...]


@dataclass(frozen=True, slots=True)
class Connected:
    """The daemon accepted a hello that carried the observed state `version`."""

    version: int


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The session ended."""


@dataclass(frozen=True, slots=True)
class DesiredArrived:
    """The daemon says what this node should run."""

    desired: Desired


@dataclass(frozen=True, slots=True)
class Acked:
    """All that was observed up to `version` is durable at the daemon."""

    version: int


@dataclass(frozen=True, slots=True)
class RankChanged:
    """The launcher saw a rank move on."""

    seen: RankObservation


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


Input = Recovered | Connected | Disconnected | DesiredArrived | Acked | RankChanged | Ticked


# ---- actions, to be carried out in order


@dataclass(frozen=True, slots=True)
class SaveFollowed:
    """Make this durable before any action after it."""

    followed: Followed


@dataclass(frozen=True, slots=True)
class Start:
    """Start one rank of `assignment`. Never given twice for a key."""

    key: RankKey
    assignment: Assignment
    spec: JobSpec


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop a rank: `evidence_s` to say why it fails, TERM, `grace_s`, KILL. Given again if the times change."""

    key: RankKey
    evidence_s: float
    grace_s: float


@dataclass(frozen=True, slots=True)
class Forget:
    """A rank that is gone is no longer of interest to the daemon."""

    key: RankKey


@dataclass(frozen=True, slots=True)
class SendObserved:
    """Tell the daemon all that is seen."""

    observed: Observed


@dataclass(frozen=True, slots=True)
class Reconnect:
    """End the session and say hello anew, as the follower of another log."""


@dataclass(frozen=True, slots=True)
class Say:
    """Tell people; said once, however often the reason comes by."""

    sentence: str


Action = SaveFollowed | Start | Stop | Forget | SendObserved | Reconnect | Say


# ---- the core


@dataclass(slots=True)
class _Rank:
    seen: RankObservation
    started: bool
    stop: tuple[float, float] | None = None

    @property
    def gone(self) -> bool:
        return self.seen.state is RankState.GONE


class AgentCore:
    """One node's ranks and the desired state it follows. `now` is monotonic seconds."""

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
        self._sent_at = 0.0
        self._connected = False

    def observed(self) -> Observed:
        """All that is seen now, as the daemon is told it."""
        ranks = tuple(self._ranks[key].seen for key in sorted(self._ranks))
        return Observed(version=self.version, position=self.followed.position, ranks=ranks)

    def seen(self, key: RankKey) -> RankObservation | None:
        """What is seen of one rank; None if it is not known (any more)."""
        rank = self._ranks.get(key)
        return rank.seen if rank is not None else None

    def handle(self, item: Input, now: float) -> tuple[Action, ...]:
        """Take one input; give what follows from it, in the order in which it is to be done."""
        actions: list[Action] = []
        match item:
            case DesiredArrived():
                self._take(item.desired, actions)
            case RankChanged():
                self._move(item.seen, actions)
            case Recovered():
                self._recover(item.ranks)
            case Connected():
                self._connected, self._acked = True, 0
                self._sent_version, self._sent_at = item.version, now
            case Disconnected():
                self._connected = False
            case Acked():
                self._acked = max(self._acked, item.version)
            case Ticked():
                pass
        late = now - self._sent_at > ACK_LATE_S
        if self._connected and (self.version > self._sent_version or (self.version > self._acked and late)):
            self._sent_version, self._sent_at = self.version, now
            actions.append(SendObserved(self.observed()))
        return tuple(actions)

    # ---- ranks

    def _recover(self, ranks: tuple[RankObservation, ...]) -> None:
        for seen in ranks:
            self._ranks[seen.key] = _Rank(seen, started=True)
            self._fence(seen.key.gang_key, seen.key.round - 1)
        self._list_assigned()
        self.version += 1

    def _move(self, seen: RankObservation, actions: list[Action]) -> None:
        rank = self._ranks.get(seen.key)
        if rank is None or _ORDER[seen.state] < _ORDER[rank.seen.state]:
            return  # forgotten, or late
        before = rank.seen
        rank.seen = replace(
            seen,
            pid=seen.pid or before.pid,
            started_at=seen.started_at or before.started_at,
            exit=seen.exit or before.exit,
        )
        if rank.seen == before:
            return
        self.version += 1
        if rank.gone:
            self._start(actions)

    # ---- what the daemon wants

    def _take(self, desired: Desired, actions: list[Action]) -> None:
        broken = self._broken(desired)
        refusal = broken or self._not_followed(desired)
        adopting = bool(refusal) and not broken and desired.adopt_from == self.followed.log_id
        if refusal and not adopting:
            if refusal != self._said:
                actions.append(Say(refusal))
            self._said = refusal
            return
        self._said, self._told = "", True
        # Stops need no durable word: one that a crash undid is in the next desired state again.
        for tombstone in desired.tombstones:
            self._stop(tombstone, actions)
        held = Held(assignments=desired.assignments, jobs=desired.jobs)
        followed = Followed(log_id=desired.log_id, position=desired.position, held=held)
        if followed != self.followed:
            self.followed = followed
            self.version += 1
            actions.append(SaveFollowed(followed))
        self._forget(desired, actions)
        self._list_assigned()
        self._start(actions)
        if adopting:
            self._connected = False  # until the new hello: the daemon believes no report before it
            actions.append(Reconnect())

    def _broken(self, desired: Desired) -> str:
        """Say what is wrong with a message in itself; "" if nothing is."""
        roles = {(each.job, role.name) for each in desired.jobs for role in each.spec.roles}
        for each in desired.assignments:
            if (each.round.job, each.round.role) not in roles:
                return f"The daemon wants {each.round} run but sent no spec of it; that message is ignored."
        if not desired.log_id:
            return "The daemon sent a desired state of no log; that message is ignored."
        return ""

    def _not_followed(self, desired: Desired) -> str:
        """Say why a desired state is not this node's to follow; "" if it is."""
        mine = self.followed
        remedy = f"if that is meant, `dlroverctl node adopt {self._node}`; until then nothing changes here"
        if mine.log_id and desired.log_id != mine.log_id:
            return (
                f"The daemon speaks of log {desired.log_id[:8]}, and this node follows log {mine.log_id[:8]}: "
                f"another daemon, or its state was wiped; {remedy}."
            )
        if mine.log_id and desired.position < mine.position:
            return (
                f"The daemon's log is at position {desired.position}, and this node has followed it to "
                f"{mine.position}: its state is an old copy; {remedy}."
            )
        return ""

    def _stop(self, tombstone: Tombstone, actions: list[Action]) -> None:
        gang, times = tombstone.round.gang_key, (tombstone.evidence_s, tombstone.grace_s)
        self._fence(gang, tombstone.round.round)
        for key in sorted(self._ranks):
            rank = self._ranks[key]
            if key.gang_key != gang or key.round > tombstone.round.round or rank.gone:
                continue
            if not rank.started:
                del self._ranks[key]
                self.version += 1
            elif rank.stop != times:
                rank.stop = times
                actions.append(Stop(key, *times))

    def _forget(self, desired: Desired, actions: list[Action]) -> None:
        assigned = {each.round for each in desired.assignments}
        buried = {each.round.gang_key: each.round.round for each in desired.tombstones}
        for key in sorted(self._ranks):
            rank = self._ranks[key]
            if key.round_key in assigned or key.round <= buried.get(key.gang_key, -1):
                continue
            if not rank.started:
                del self._ranks[key]
                self.version += 1
            elif rank.gone:
                del self._ranks[key]
                self.version += 1
                actions.append(Forget(key))
        named = {key.gang_key for key in self._ranks} | {each.gang_key for each in assigned} | buried.keys()
        self._fences = {gang: round_ for gang, round_ in self._fences.items() if gang in named}

    def _list_assigned(self) -> None:
        """Make every rank known that is to run here: what is not listed, the daemon takes for lost."""
        for assignment in self.followed.held.assignments:
            if assignment.round.round <= self._fences.get(assignment.round.gang_key, -1):
                continue
            for key in assignment.ranks():
                if key not in self._ranks:
                    seen = RankObservation(key=key, state=RankState.ASSIGNED)
                    self._ranks[key] = _Rank(seen, started=False)
                    self.version += 1

    def _start(self, actions: list[Action]) -> None:
        """Start what is assigned and new, but no round beside another one of its gang."""
        if not self._told:
            return
        alive = {(key.gang_key, key.round) for key, rank in self._ranks.items() if rank.started and not rank.gone}
        specs = {each.job: each.spec for each in self.followed.held.jobs}
        for assignment in self.followed.held.assignments:
            gang, round_ = assignment.round.gang_key, assignment.round.round
            if any(other == gang and at != round_ for other, at in alive):
                continue
            for key in assignment.ranks():
                rank = self._ranks.get(key)
                if rank is not None and not rank.started:
                    rank.started = True
                    self._fence(gang, round_ - 1)
                    actions.append(Start(key, assignment, specs[key.job]))

    def _fence(self, gang: GangKey, round_: int) -> None:
        self._fences[gang] = max(self._fences.get(gang, -1), round_)
