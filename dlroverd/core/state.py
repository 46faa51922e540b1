"""The state: tables of frozen records, and indexes derived from them.

Every change goes through `State.put`, which keeps the indexes true and remembers how to take the change
back. So a turn that fails half way is undone whole, and a snapshot needs the tables alone.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from dlroverd.model.fault import ExitInfo, Incident
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import GangState, JobSpec, JobState, RankState
from dlroverd.model.node import DeviceObservation, NodeFacts, NodeState
from dlroverd.model.placement import FreeIndex
from dlroverd.model.world import Drill, Held, NodeCheck, StuckRank, SuspectSeen, Tombstone


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """A job. `outcome` is where a stop leads; `spent` the times of restarts its budget paid for.

    `question` is the open question to the scheduler (0: none); `asked_capacity` the free capacity
    (`Meta.capacity`) that the last one looked at: while it has not grown, asking again is pointless.
    `queued_at` is when it last began to wait for nodes: a question in between does not start the wait anew.
    `avoid` holds nodes it is not placed on, until when, and why.
    """

    id: int
    spec: JobSpec
    state: JobState
    reason: str
    since: float
    submitted_at: float
    queued_at: float
    deadline: float
    request_id: str = ""
    later_requests: tuple[str, ...] = ()
    started_at: float = 0.0
    finished_at: float = 0.0
    outcome: JobState | None = None
    gave_up: bool = False
    question: int = 0
    asked_capacity: int = -1
    restarts: int = 0
    port_retries: int = 0
    spent: tuple[float, ...] = ()
    next_incident: int = 1
    avoid: tuple[tuple[str, float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GangRecord:
    """A gang and its current world. `nodes` is in order of group rank; `formed` the log position of the world.

    `step` is the first training step seen of this world, -1 before that. `checking`: no rank starts before every
    node was found fit; `network` says why the master has its address; `proven` are the nodes that were found fit.
    """

    key: GangKey
    state: GangState
    reason: str
    since: float
    deadline: float = 0.0
    round: int = 0
    nodes: tuple[str, ...] = ()
    world_size: int = 0
    master_addr: str = ""
    master_port: int = 0
    restart_count: int = 0
    formed: int = 0
    step: int = -1
    checking: bool = False
    network: str = ""
    proven: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """A rank of a gang's current world."""

    key: RankKey
    local_rank: int
    node: str
    state: RankState
    pid: int = 0
    started_at: float = 0.0
    exit: ExitInfo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRecord:
    """What a gang takes of a node. `released`: given back, yet taken until its tombstone is cleared.

    `check` is what the node found before the start of the current world, None before it said so.
    """

    slots: int
    devices: tuple[str, ...]
    group_rank: int
    first_rank: int
    released: bool = False
    check: NodeCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TombstoneRecord:
    """A stop that one node has yet to confirm. `position` is where the log set it."""

    tombstone: Tombstone
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillRecord:
    """A fault ordered of a node and not known to be over."""

    drill: Drill
    actor: str
    at: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """A node. `log_id` is the log its agent follows; `adopt_from` one a person said this log replaces.

    While it is silent, the agents of `askers` call it; `suspects` is what its own agent says of silent nodes.
    `devices` are those that cannot be granted, `stuck` the ranks that cannot be ended: nothing is placed beside them.
    """

    id: str
    state: NodeState
    reason: str
    since: float
    deadline: float
    boot_id: str
    facts: NodeFacts
    log_id: str
    adopt_from: str = ""
    next_port: int = 0
    orphans: tuple[RankKey, ...] = ()
    held: Held = field(default_factory=Held)
    askers: tuple[str, ...] = ()
    suspects: tuple[SuspectSeen, ...] = ()
    devices: tuple[DeviceObservation, ...] = ()
    stuck: tuple[StuckRank, ...] = ()
    drills: tuple[DrillRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """What belongs to no one. `capacity` rises whenever room appears; `now` never decreases."""

    position: int = 0
    now: float = 0.0
    next_job: int = 1
    next_question: int = 1
    next_drill: int = 1
    capacity: int = 0
    storage_low: bool = False


NodeGang = tuple[str, GangKey]
JobIncident = tuple[int, int]
_PLACEABLE = frozenset({NodeState.READY})


class State:
    """All that the daemon knows. One writer; change it through `put` only."""

    def __init__(self, log_id: str) -> None:
        """Begin empty, for the log `log_id`."""
        self.log_id = log_id
        self.meta: dict[str, Meta] = {"": Meta()}
        self.jobs: dict[int, JobRecord] = {}
        self.gangs: dict[GangKey, GangRecord] = {}
        self.ranks: dict[RankKey, RankRecord] = {}
        self.nodes: dict[str, NodeRecord] = {}
        self.grants: dict[NodeGang, GrantRecord] = {}
        self.tombstones: dict[NodeGang, TombstoneRecord] = {}
        self.incidents: dict[JobIncident, Incident] = {}
        self.requests: dict[str, int] = {}
        # Derived from the tables above, by put alone.
        self.tally: dict[GangKey, Counter[RankState]] = {}
        self.node_gangs: dict[str, set[GangKey]] = {}
        self.node_tombstones: dict[str, set[GangKey]] = {}
        self.gang_tombstones: dict[GangKey, set[str]] = {}
        self.job_gangs: dict[int, set[GangKey]] = {}
        self.waiting: list[int] = []
        self.placing: set[int] = set()
        self.unfinished: set[int] = set()
        self.used: Counter[str] = Counter()
        self.free = FreeIndex()
        self.sizes: Counter[int] = Counter()
        self.asked: dict[str, set[str]] = {}
        self._heap: list[tuple[float, str, str, Any]] = []
        self._taken: list[tuple[float, str, str, Any]] = []
        self._undo: list[tuple[dict[Any, Any], Any, Any]] | None = None

    TABLES = ("meta", "jobs", "gangs", "ranks", "nodes", "grants", "tombstones", "incidents", "requests")

    @property
    def m(self) -> Meta:
        """The one row of `meta`."""
        return self.meta[""]

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set (or, with None, drop) one record and keep the indexes true."""
        old = table.get(key)
        if self._undo is not None:
            self._undo.append((table, key, old))
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
        if table is self.ranks:
            self._index_rank(key, old, value)
        elif table is self.grants:
            self._index_grant(key, old, value)
        elif table is self.tombstones:
            _member(self.node_tombstones, key[0], key[1], present=value is not None)
            _member(self.gang_tombstones, key[1], key[0], present=value is not None)
        elif table is self.gangs:
            _member(self.job_gangs, key.job, key, present=value is not None)
            self._push("gangs", key, old, value)
        elif table is self.jobs:
            self._index_job(key, value)
            self._push("jobs", key, old, value)
        elif table is self.nodes:
            self._index_size(old, value)
            self._index_askers(key, old, value)
            self._index_node(key)
            self._push("nodes", key, old, value)

    def begin(self) -> None:
        """Start remembering changes, so that `rollback` can take them back."""
        self._undo, self._taken = [], []

    def commit(self) -> None:
        """Keep the changes since `begin`."""
        self._undo = None

    def rollback(self) -> None:
        """Take back every change since `begin`."""
        undo, self._undo = self._undo or [], None
        for table, key, old in reversed(undo):
            self.put(table, key, old)
        for entry in self._taken:
            heappush(self._heap, entry)

    def next_deadline(self) -> float | None:
        """When the earliest deadline is due, None if there is none."""
        while self._heap:
            at, table, _, key = self._heap[0]
            if self._deadline(table, key) == at:
                return at
            heappop(self._heap)
        return None

    def due(self, now: float) -> Iterator[tuple[str, Any]]:
        """Take what is due, as (table, key), earliest first; each is given once per deadline."""
        while (at := self.next_deadline()) is not None and at <= now:
            entry = heappop(self._heap)
            self._taken.append(entry)
            yield entry[1], entry[3]

    def world(self, gang: GangRecord) -> Iterator[RankRecord]:
        """The known ranks of a gang's current world, by rank."""
        at = gang.key.at(gang.round)
        for rank in range(gang.world_size):
            record = self.ranks.get(at.rank(rank))
            if record is not None:
                yield record

    def gangs_of(self, job: int) -> list[GangRecord]:
        """The gangs of a job in order."""
        return [self.gangs[key] for key in sorted(self.job_gangs.get(job, ()))]

    def open_incident(self, job: int) -> Incident | None:
        """The job's incident that is not closed, if there is one."""
        incident = self.incidents.get((job, self.jobs[job].next_incident - 1))
        return incident if incident is not None and not incident.closed_at else None

    def incidents_of(self, job: int) -> list[Incident]:
        """All incidents of a job in order."""
        numbers = range(1, self.jobs[job].next_incident)
        return [self.incidents[job, n] for n in numbers if (job, n) in self.incidents]

    def _index_rank(self, key: RankKey, old: RankRecord | None, new: RankRecord | None) -> None:
        tally = self.tally.setdefault(key.gang_key, Counter())
        if old is not None:
            tally[old.state] -= 1
            if not tally[old.state]:
                del tally[old.state]
        if new is not None:
            tally[new.state] += 1
        if not tally:
            del self.tally[key.gang_key]

    def _index_grant(self, key: NodeGang, old: GrantRecord | None, new: GrantRecord | None) -> None:
        node, gang = key
        _member(self.node_gangs, node, gang, present=new is not None)
        self.used[node] += (new.slots if new else 0) - (old.slots if old else 0)
        if not self.used[node]:
            del self.used[node]
        self._index_node(node)

    def _index_node(self, node: str) -> None:
        record = self.nodes.get(node)
        if record is not None and record.state in _PLACEABLE and not record.stuck:
            self.free.set(node, max(0, record.facts.slots - self.used[node] - self._unusable(record)))
        else:
            self.free.remove(node)

    def _unusable(self, node: NodeRecord) -> int:
        """Count the slots of devices that cannot be granted; those of granted ones are used already."""
        if not node.devices:
            return 0
        granted = {uuid for key in self.node_gangs.get(node.id, ()) for uuid in self.grants[node.id, key].devices}
        return sum(device.uuid not in granted for device in node.devices)

    def _index_askers(self, node: str, old: NodeRecord | None, new: NodeRecord | None) -> None:
        before, after = (each.askers if each is not None else () for each in (old, new))
        for asker in {*before, *after}:
            _member(self.asked, asker, node, present=asker in after)

    def _index_size(self, old: NodeRecord | None, new: NodeRecord | None) -> None:
        if old is not None:
            self.sizes[old.facts.slots] -= 1
            if not self.sizes[old.facts.slots]:
                del self.sizes[old.facts.slots]
        if new is not None:
            self.sizes[new.facts.slots] += 1

    def _index_job(self, job: int, new: JobRecord | None) -> None:
        at = bisect_left(self.waiting, job)
        listed = at < len(self.waiting) and self.waiting[at] == job
        queued = new is not None and new.state is JobState.QUEUED
        if queued and not listed:
            insort(self.waiting, job)
        elif listed and not queued:
            del self.waiting[at]
        if new is not None and new.state is JobState.PLACING:
            self.placing.add(job)
        else:
            self.placing.discard(job)
        if new is not None and not new.state.final:
            self.unfinished.add(job)
        else:
            self.unfinished.discard(job)

    def _push(self, table: str, key: Any, old: Any, record: Any) -> None:
        if record is not None and record.deadline and (old is None or old.deadline != record.deadline):
            heappush(self._heap, (record.deadline, table, str(key), key))

    def _deadline(self, table: str, key: Any) -> float | None:
        record = getattr(self, table).get(key)
        return record.deadline if record is not None else None


def _member(index: dict[Any, set[Any]], key: Any, member: Any, *, present: bool) -> None:
    members = index.setdefault(key, set())
    if present:
        members.add(member)
    else:
        members.discard(member)
    if not members:
        del index[key]
