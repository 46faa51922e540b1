"""The state: tables of frozen records, and indexes derived from them.

Every change goes through `State.put`, which keeps the indexes true and remembers how to take the change
back. So a turn that fails half way is undone whole, and a snapshot needs the tables alone.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import groupby
from typing import Any

from dlroverd.core.indexes import add, enrol, tally
from dlroverd.core.records import (
    CheckupRecord,
    DiagnosisKey,
    DiagnosisRecord,
    Domain,
    FindingRecord,
    GangRecord,
    GrantRecord,
    JobIncident,
    JobRecord,
    MatchRecord,
    Meta,
    NodeGang,
    NodeRecord,
    Norm,
    OutageRecord,
    RankRecord,
    ReputationRecord,
    SpareRecord,
    SpoolRecord,
    TombstoneRecord,
)
from dlroverd.model.checkpoint import Commit, Verdict
from dlroverd.model.fault import Incident
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobState, RankState
from dlroverd.model.ledger import Ledger
from dlroverd.model.node import NodeState
from dlroverd.model.placement import NodeTraits, Pairs
from dlroverd.model.reputation import Subject
from dlroverd.model.trust import Certified, JoinToken

_PLACEABLE = frozenset({NodeState.READY})
_SILENT = frozenset({NodeState.UNREACHABLE, NodeState.LOST})


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
        self.spares: dict[NodeGang, SpareRecord] = {}
        self.incidents: dict[JobIncident, Incident] = {}
        self.requests: dict[str, int] = {}
        self.domains: dict[str, Pairs] = {}
        self.outages: dict[Domain, OutageRecord] = {}
        self.ledgers: dict[int, Ledger] = {}
        self.reputations: dict[Subject, ReputationRecord] = {}
        self.findings: dict[str, FindingRecord] = {}
        self.checkups: dict[str, CheckupRecord] = {}
        self.matches: dict[int, MatchRecord] = {}
        self.norms: dict[Norm, tuple[tuple[str, float], ...]] = {}
        self.diagnoses: dict[DiagnosisKey, DiagnosisRecord] = {}
        self.spools: dict[str, SpoolRecord] = {}
        self.commits: dict[int, tuple[Commit, ...]] = {}
        self.verdicts: dict[str, tuple[Verdict, ...]] = {}
        self.tokens: dict[str, JoinToken] = {}
        self.certified: dict[str, Certified] = {}  # by `trust.holder`
        # Derived from the tables above, by put alone.
        self.tally: dict[GangKey, Counter[RankState]] = {}
        self.left: dict[GangKey, Counter[str]] = {}  # ranks not seen gone, by node
        self.unchecked: Counter[GangKey] = Counter()  # grants whose node has not said what it found
        self.unfit: dict[GangKey, set[str]] = {}  # nodes that found something wrong
        self.node_gangs: dict[str, set[GangKey]] = {}
        self.gang_spares: dict[GangKey, set[str]] = {}
        self.node_tombstones: dict[str, set[GangKey]] = {}
        self.gang_tombstones: dict[GangKey, set[str]] = {}
        self.saves_at: dict[str, set[int]] = {}  # the jobs that have commits at a place
        self.job_gangs: dict[int, set[GangKey]] = {}
        self.waiting: list[tuple[int, int]] = []
        self.placing: set[int] = set()
        self.preempting: set[int] = set()
        self.unfinished: set[int] = set()
        self.used: Counter[str] = Counter()
        self.job_slots: Counter[int] = Counter()
        self.slots_of: Counter[tuple[str, str]] = Counter()
        self.jobs_of: Counter[tuple[str, str]] = Counter()
        self.free = FreeIndex()
        self.usable: set[str] = set()
        self.silent: set[str] = set()
        self.held: set[str] = set()
        self.in_domain: dict[Domain, set[str]] = {}
        self.sizes: Counter[int] = Counter()
        self.asked: dict[str, set[str]] = {}
        self._heap: list[tuple[float, str, str, Any]] = []
        self._taken: list[tuple[float, str, str, Any]] = []
        self._undo: list[tuple[dict[Any, Any], Any, Any]] | None = None

    _TIMED = ("outages", "reputations", "findings", "checkups", "diagnoses")  # what has a deadline and no index
    TABLES = (
        "meta",
        "jobs",
        "gangs",
        "ranks",
        "nodes",
        "grants",
        "tombstones",
        "spares",
        "incidents",
        "requests",
        "domains",
        "outages",
        "ledgers",
        "reputations",
        "findings",
        *("checkups", "matches", "norms"),
        "diagnoses",
        "spools",
        "commits",
        "verdicts",
        "tokens",
        "certified",
    )

    @property
    def m(self) -> Meta:
        """The one row of `meta`."""
        return self.meta[""]

    def put(self, table: dict[Any, Any], key: Any, value: Any) -> None:
        """Set (or, with None, drop) one record and keep the indexes true."""
        old = table.get(key)
        self._remember(table, key, old)
        if value is None:
            table.pop(key, None)
        else:
            table[key] = value
        if table is self.ranks:
            self._index_rank(key, old, value)
        elif table is self.grants:
            self._index_grant(key, old, value)
        elif table is self.spares:
            enrol(self.gang_spares, key[1], key[0], present=value is not None)
            self._use(key, (value.slots if value else 0) - (old.slots if old else 0))
        elif table is self.tombstones:
            enrol(self.node_tombstones, key[0], key[1], present=value is not None)
            enrol(self.gang_tombstones, key[1], key[0], present=value is not None)
        elif table is self.gangs:
            enrol(self.job_gangs, key.job, key, present=value is not None)
            self._push("gangs", key, old, value)
        elif table is self.jobs:
            self._index_job(key, old, value)
            self._push("jobs", key, old, value)
        elif table is self.nodes:
            self._index_size(old, value)
            self._index_askers(key, old, value)
            self._describe(key)
            self._index_node(key)
            self._push("nodes", key, old, value)
            self._push_hold(key, old, value)
        elif table is self.domains:
            for domain in {*(old or ()), *(value or ())}:
                enrol(self.in_domain, domain, key, present=domain in (value or ()))
            self._describe(key)
        elif table is self.commits:
            places = {each.place for each in value or ()}
            for place in {each.place for each in old or ()} | places:
                enrol(self.saves_at, place, key, present=place in places)
        else:
            for name in self._TIMED:
                if table is getattr(self, name):
                    self._push(name, key, old, value)

    def put_world(self, gang: GangKey, old: Sequence[RankRecord], new: Sequence[RankRecord]) -> None:
        """Put the ranks of a gang's next world in place of those of the last, counting them once and not one by one."""
        for rank in old:
            self._remember(self.ranks, rank.key, rank)
            del self.ranks[rank.key]
        for rank in new:
            self._remember(self.ranks, rank.key, None)
            self.ranks[rank.key] = rank
        for ranks, sign in ((old, -1), (new, 1)):
            for state, count in Counter(rank.state for rank in ranks).items():
                tally(self.tally, gang, state, sign * count)
            for node, count in Counter(rank.node for rank in ranks if rank.state is not RankState.GONE).items():
                tally(self.left, gang, node, sign * count)

    def put_moved(self, ranks: Iterable[tuple[RankRecord, RankRecord]]) -> None:
        """Put what known ranks, each still on its node, have become; alike moves in a row are counted once."""
        moved: list[tuple[GangKey, str, RankState, RankState]] = []
        for old, new in ranks:
            self._remember(self.ranks, old.key, old)
            self.ranks[old.key] = new
            if old.state is not new.state:
                moved.append((old.key.gang_key, old.node, old.state, new.state))
        for (gang, node, before, after), alike in groupby(moved):
            count = sum(1 for _ in alike)
            tally(self.tally, gang, before, -count)
            tally(self.tally, gang, after, count)
            tally(self.left, gang, node, count * ((before is RankState.GONE) - (after is RankState.GONE)))

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

    def queue(self) -> Iterator[int]:
        """The jobs that wait for nodes: higher priority first, of these the first submitted."""
        return (job for _, job in self.waiting)

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
        for key in gang.key.at(gang.round).ranks(gang.world_size):
            record = self.ranks.get(key)
            if record is not None:
                yield record

    def ranks_on(self, gang: GangRecord, node: str) -> Iterator[RankRecord]:
        """The known ranks of a gang's current world on one node, by rank; of a large world the cost of one node."""
        grant = self.grants.get((node, gang.key))
        at = gang.key.at(gang.round)
        for number in range(grant.first_rank, grant.first_rank + grant.slots) if grant is not None else ():
            rank = self.ranks.get(at.rank(number))
            if rank is not None and rank.node == node:  # else the grant is of an older world
                yield rank

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

    def _remember(self, table: dict[Any, Any], key: Any, old: Any) -> None:
        if self._undo is not None:
            self._undo.append((table, key, old))

    def _index_rank(self, key: RankKey, old: RankRecord | None, new: RankRecord | None) -> None:
        if old is not None and new is not None and old.state is new.state and old.node == new.node:
            return
        gang = key.gang_key
        for rank, more in ((old, -1), (new, 1)):
            if rank is not None:
                tally(self.tally, gang, rank.state, more)
                if rank.state is not RankState.GONE:
                    tally(self.left, gang, rank.node, more)

    def _index_grant(self, key: NodeGang, old: GrantRecord | None, new: GrantRecord | None) -> None:
        node, gang = key
        enrol(self.node_gangs, node, gang, present=new is not None)
        asked = [grant is not None and not grant.released and grant.check is None for grant in (old, new)]
        add(self.unchecked, gang, asked[1] - asked[0])
        check = new.check if new is not None else None
        enrol(self.unfit, gang, node, present=check is not None and bool(check.problem or check.mismatch))
        self._use(key, (new.slots if new else 0) - (old.slots if old else 0))

    def _use(self, key: NodeGang, more: int) -> None:
        node, job = key[0], self.jobs[key[1].job]
        before = self.job_slots[job.id]
        add(self.used, node, more)
        add(self.job_slots, job.id, more)
        begins = bool(self.job_slots[job.id]) - bool(before)
        for whose in (("user", job.spec.user.name), ("project", job.spec.project)):
            add(self.slots_of, whose, more)
            add(self.jobs_of, whose, begins)
        self._index_node(node)

    def _index_node(self, node: str) -> None:
        record = self.nodes.get(node)
        usable = record is not None and record.state in _PLACEABLE and not record.stuck and not record.holds
        (self.usable.add if usable else self.usable.discard)(node)
        silent = record is not None and record.state in _SILENT
        (self.silent.add if silent else self.silent.discard)(node)
        (self.held.add if record is not None and record.holds else self.held.discard)(node)
        if record is not None and usable:
            self.free.set(node, max(0, record.facts.slots - self.used[node] - self._unusable(record)))
        else:
            self.free.remove(node)

    def _describe(self, node: str) -> None:
        """Tell the index what a node is."""
        record = self.nodes.get(node)
        if record is None:
            self.free.describe(node, None)
            return
        traits = NodeTraits(
            slots=record.facts.slots,
            labels=tuple(sorted(record.facts.labels.items())),
            domains=self.domains.get(node, ()),
            model=", ".join(dict.fromkeys(device.model for device in record.facts.devices)),
            doubt=record.doubt,
            memory_bytes=record.facts.memory_bytes,
        )
        self.free.describe(node, traits)

    def _unusable(self, node: NodeRecord) -> int:
        """Count the slots of devices that cannot be granted; those of granted ones are used already."""
        if not node.devices:
            return 0
        granted = {uuid for key in self.node_gangs.get(node.id, ()) for uuid in self.grants[node.id, key].devices}
        return sum(device.uuid not in granted for device in node.devices)

    def _index_askers(self, node: str, old: NodeRecord | None, new: NodeRecord | None) -> None:
        before, after = (each.askers if each is not None else () for each in (old, new))
        for asker in {*before, *after}:
            enrol(self.asked, asker, node, present=asker in after)

    def _index_size(self, old: NodeRecord | None, new: NodeRecord | None) -> None:
        if old is not None:
            self.sizes[old.facts.slots] -= 1
            if not self.sizes[old.facts.slots]:
                del self.sizes[old.facts.slots]
        if new is not None:
            self.sizes[new.facts.slots] += 1

    def _index_job(self, job: int, old: JobRecord | None, new: JobRecord | None) -> None:
        known = new or old
        place = (-known.spec.priority if known is not None else 0, job)
        at = bisect_left(self.waiting, place)
        listed = at < len(self.waiting) and self.waiting[at] == place
        queued = new is not None and new.state is JobState.QUEUED
        if queued and not listed:
            insort(self.waiting, place)
        elif listed and not queued:
            del self.waiting[at]
        if new is not None and new.state is JobState.PLACING:
            self.placing.add(job)
        else:
            self.placing.discard(job)
        if new is not None and new.victims:
            self.preempting.add(job)
        else:
            self.preempting.discard(job)
        if new is not None and not new.state.final:
            self.unfinished.add(job)
        else:
            self.unfinished.discard(job)

    def _push(self, table: str, key: Any, old: Any, record: Any) -> None:
        if record is not None and record.deadline and (old is None or old.deadline != record.deadline):
            heappush(self._heap, (record.deadline, table, str(key), key))

    def _push_hold(self, node: str, old: NodeRecord | None, new: NodeRecord | None) -> None:
        at = new.hold_deadline if new is not None else 0.0
        if at and (old is None or old.hold_deadline != at):
            heappush(self._heap, (at, "holds", node, node))

    def _deadline(self, table: str, key: Any) -> float | None:
        if table == "holds":
            node = self.nodes.get(key)
            return node.hold_deadline if node is not None else None
        record = getattr(self, table).get(key)
        return record.deadline if record is not None else None
