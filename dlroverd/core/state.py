"""The state: tables of frozen records, and indexes derived from them.

Every change goes through `State.put`, which keeps the indexes true and remembers how to take the change
back. So a turn that fails half way is undone whole, and a snapshot needs the tables alone.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from dlroverd.core.records import (
    GangRecord,
    GrantRecord,
    JobIncident,
    JobRecord,
    Meta,
    NodeGang,
    NodeRecord,
    RankRecord,
    TombstoneRecord,
)
from dlroverd.model.fault import Incident
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.placement import FreeIndex

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
