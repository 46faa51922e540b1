"""Nodes, what they run that this log does not know, and how it is taken in."""

from dataclasses import replace

from dlroverd.core.folds.reputation import doubt_node
from dlroverd.core.folds.room import room_grew
from dlroverd.core.folds.worlds import observed, release
from dlroverd.core.records import DrillRecord, GangRecord, GrantRecord, JobRecord, NodeRecord, OutageRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.difference import newest
from dlroverd.model.job import GangState, JobState
from dlroverd.model.node import NodeState
from dlroverd.model.world import Held

# Readers of the log are seldom further behind than this.
_BOOTS_KEPT = 16


def node_joined(s: State, e: ev.NodeJoined) -> None:
    old = s.nodes.get(e.node)
    fresh = NodeRecord(
        id=e.node,
        state=NodeState.JOINING,
        reason="it said hello",
        since=s.m.now,
        deadline=0.0,
        boot_id=e.boot_id,
        facts=e.facts,
        log_id=e.log_id,
    )
    if old is not None:
        fresh = replace(old, boot_id=e.boot_id, facts=e.facts, log_id=e.log_id)
        room_grew(s)
    s.put(s.nodes, e.node, replace(fresh, boots=_boots(s, fresh, e.boot_id)))
    doubt_node(s, e.node)


def _boots(s: State, node: NodeRecord, boot_id: str) -> tuple[tuple[int, str], ...]:
    known = node.boots
    return known if known and known[-1][1] == boot_id else (*known, (s.m.position, boot_id))[-_BOOTS_KEPT:]


def node_moved(s: State, e: ev.NodeMoved) -> None:
    node = s.nodes[e.node]
    since = s.m.now if e.to is not node.state else node.since
    heard_at = e.heard_at or node.heard_at
    boots = _boots(s, node, "" if e.to in (NodeState.UNREACHABLE, NodeState.LOST) else node.boot_id)
    moved = replace(node, state=e.to, reason=e.reason, since=since, deadline=e.deadline, heard_at=heard_at, boots=boots)
    if e.to is not NodeState.UNREACHABLE:
        moved = replace(moved, askers=())
    if e.to is NodeState.READY:
        moved = replace(moved, adopt_from="", unheard=False)  # it follows this log now; another time needs another word
        room_grew(s)
    s.put(s.nodes, e.node, moved)


def suspect_named(s: State, e: ev.SuspectNamed) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], askers=e.askers))


def suspects_seen(s: State, e: ev.SuspectsSeen) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], suspects=e.suspects))


def node_confirmed_down(s: State, e: ev.NodeConfirmedDown) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], suspects=(), drills=(), unheard=False))


def devices_seen(s: State, e: ev.DevicesSeen) -> None:
    node = s.nodes[e.node]
    s.put(s.nodes, e.node, replace(node, devices=e.devices))
    if {device.uuid for device in node.devices} - {device.uuid for device in e.devices}:
        room_grew(s)


def stuck_seen(s: State, e: ev.StuckSeen) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], stuck=e.stuck))
    if not e.stuck:
        room_grew(s)


def drill_ordered(s: State, e: ev.DrillOrdered) -> None:
    node = s.nodes[e.node]
    ordered = DrillRecord(drill=e.drill, actor=e.actor, at=s.m.now, request_id=e.request_id)
    s.put(s.nodes, e.node, replace(node, drills=(*node.drills, ordered)))
    s.put(s.meta, "", replace(s.m, next_drill=e.drill.id + 1))


def drills_ended(s: State, e: ev.DrillsEnded) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], drills=()))


def orphans_seen(s: State, e: ev.OrphansSeen) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], orphans=e.orphans, held=e.held))
    above = max((key.job + 1 for key in e.orphans), default=0)
    s.put(s.meta, "", replace(s.m, next_job=max(s.m.next_job, above)))


def difference_seen(s: State, e: ev.DifferenceSeen) -> None:
    node = s.nodes[e.node]
    s.put(s.nodes, e.node, replace(node, differences=newest((*node.differences, e.difference))))


def topology_changed(s: State, e: ev.TopologyChanged) -> None:
    for each in e.nodes:
        s.put(s.domains, each.node, each.domains or None)
    s.put(s.meta, "", replace(s.m, pack_by=e.pack_by))


def domain_failed(s: State, e: ev.DomainFailed) -> None:
    outage = OutageRecord(nodes=e.nodes, began_at=e.began_at, last_at=e.last_at, deadline=e.deadline)
    s.put(s.outages, (e.kind, e.name), outage)


def domain_settled(s: State, e: ev.DomainSettled) -> None:
    key = (e.kind, e.name)
    s.put(s.outages, key, replace(s.outages[key], settled=True, deadline=e.deadline))


def domain_cleared(s: State, e: ev.DomainCleared) -> None:
    s.put(s.outages, (e.kind, e.name), None)
    room_grew(s)


def node_adopted(s: State, e: ev.NodeAdopted) -> None:
    node = replace(s.nodes[e.node], adopt_from=e.adopt_from, orphans=(), held=Held())
    s.put(s.nodes, e.node, node)


def job_adopted(s: State, e: ev.JobAdopted) -> None:
    now = s.m.now
    job = JobRecord(
        id=e.job,
        spec=e.spec,
        state=JobState.RUNNING,
        reason=e.reason,
        since=now,
        submitted_at=now,
        queued_at=now,
        started_at=now,
        deadline=e.deadline,
        request_id=e.request_id,
    )
    s.put(s.jobs, e.job, job)
    s.put(s.meta, "", replace(s.m, next_job=max(s.m.next_job, e.job + 1)))


def ranks_adopted(s: State, e: ev.RanksAdopted) -> None:
    key = e.round.gang_key
    grant = GrantRecord(
        slots=e.grant.slots,
        devices=e.grant.devices,
        group_rank=e.group_rank,
        first_rank=e.first_rank,
    )
    s.put(s.grants, (e.node, key), grant)
    old = s.gangs.get(key)
    if old is not None and old.round != e.round.round:  # an older world, of a restored log: its ranks count no more
        for rank in list(s.world(old)):
            s.put(s.ranks, rank.key, None)
        for node in old.nodes:
            if node != e.node:
                release(s, node, key)
        old = None
    nodes = {*(old.nodes if old else ()), e.node}
    s.put(
        s.gangs,
        key,
        GangRecord(
            key=key,
            state=GangState.RUNNING,
            reason="adopted",
            since=s.m.now,
            round=e.round.round,
            nodes=tuple(sorted(nodes, key=lambda node: s.grants[node, key].group_rank)),
            world_size=e.world_size,
            master_addr=e.master_addr,
            master_port=e.master_port,
            restart_count=e.restart_count,
            formed=s.m.position,
        ),
    )
    for local, seen in enumerate(e.ranks):
        blank = RankRecord(key=seen.key, local_rank=local, node=e.node, state=seen.state)
        s.put(s.ranks, seen.key, observed(blank, seen, 0.0))
