"""Fold one event into the state. Holds no policy: an upgraded daemon reads an old log to the same state.

Whether an event may happen is decided before it is emitted (turn.py); here it has happened.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dlroverd.core.state import (
    GangRecord,
    GrantRecord,
    JobRecord,
    NodeRecord,
    RankRecord,
    State,
    TombstoneRecord,
)
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import Held, RankObservation, Tombstone


def apply(state: State, event: ev.Event) -> None:
    """Change the state as `event` says."""
    _APPLIERS[type(event)](state, event)


def begin_turn(state: State, position: int, now: float) -> None:
    """Note which record the next events belong to, and its time."""
    state.put(state.meta, "", replace(state.m, position=position, now=now))


def _job_submitted(s: State, e: ev.JobSubmitted) -> None:
    s.put(
        s.jobs,
        e.job,
        JobRecord(
            id=e.job,
            spec=e.spec,
            state=JobState.QUEUED,
            reason=e.reason,
            since=s.m.now,
            submitted_at=s.m.now,
            deadline=e.deadline,
            request_id=e.request_id,
        ),
    )
    if e.request_id:
        s.put(s.requests, e.request_id, e.job)
    _first_gangs(s, e)
    s.put(s.meta, "", replace(s.m, next_job=max(s.m.next_job, e.job + 1)))


def _first_gangs(s: State, e: ev.JobSubmitted) -> None:
    for role in e.spec.roles:
        for number in range(role.gangs):
            key = GangKey(e.job, role.name, number)
            s.put(s.gangs, key, GangRecord(key=key, state=GangState.WAITING, reason=e.reason, since=s.m.now))


def _job_moved(s: State, e: ev.JobMoved) -> None:
    job = s.jobs[e.job]
    s.put(
        s.jobs,
        e.job,
        replace(
            job,
            state=e.to,
            reason=e.reason,
            since=s.m.now,
            deadline=e.deadline,
            outcome=e.outcome if e.outcome is not None else job.outcome,
            gave_up=e.gave_up or job.gave_up,
            question=job.question if e.to is JobState.PLACING else 0,
            started_at=job.started_at or (s.m.now if e.to is JobState.RUNNING else 0.0),
            finished_at=s.m.now if e.to.final else 0.0,
        ),
    )


def _job_reason_changed(s: State, e: ev.JobReasonChanged) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], reason=e.reason, deadline=e.deadline))


def _job_forgotten(s: State, e: ev.JobForgotten) -> None:
    job = s.jobs[e.job]
    for incident in s.incidents_of(e.job):
        s.put(s.incidents, (e.job, incident.id), None)
    for gang in s.gangs_of(e.job):
        for rank in list(s.world(gang)):
            s.put(s.ranks, rank.key, None)
        s.put(s.gangs, gang.key, None)
    s.put(s.requests, job.request_id, None)
    s.put(s.jobs, e.job, None)


def _placement_asked(s: State, e: ev.PlacementAsked) -> None:
    job = s.jobs[e.job]
    s.put(s.jobs, e.job, replace(job, question=e.question, asked_capacity=e.capacity))
    s.put(s.meta, "", replace(s.m, next_question=e.question + 1))


def _placement_rejected(s: State, e: ev.PlacementRejected) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], question=0))


def _world_formed(s: State, e: ev.WorldFormed) -> None:
    key = e.round.gang_key
    gang = s.gangs[key]
    for rank in list(s.world(gang)):
        s.put(s.ranks, rank.key, None)
    new_nodes = {grant.node for grant in e.grants}
    for node in gang.nodes:
        if node not in new_nodes:
            _release(s, node, key)
    first = 0
    for group_rank, grant in enumerate(e.grants):
        record = GrantRecord(slots=grant.slots, devices=grant.devices, group_rank=group_rank, first_rank=first)
        s.put(s.grants, (grant.node, key), record)
        for local in range(grant.slots):
            rank_key = e.round.rank(first + local)
            record_ = RankRecord(key=rank_key, local_rank=local, node=grant.node, state=RankState.ASSIGNED)
            s.put(s.ranks, rank_key, record_)
        first += grant.slots
    s.put(
        s.gangs,
        key,
        replace(
            gang,
            round=e.round.round,
            nodes=tuple(grant.node for grant in e.grants),
            world_size=e.world_size,
            master_addr=e.master_addr,
            master_port=e.master_port,
            restart_count=e.restart_count,
            formed=s.m.position,
            step=-1,
        ),
    )
    master = s.nodes[e.grants[0].node]
    s.put(s.nodes, master.id, replace(master, next_port=e.master_port + 1))


def _gang_moved(s: State, e: ev.GangMoved) -> None:
    gang = s.gangs[e.gang]
    s.put(
        s.gangs,
        e.gang,
        replace(gang, state=e.to, reason=e.reason, since=s.m.now, deadline=e.deadline),
    )


def _gang_stopping(s: State, e: ev.GangStopping) -> None:
    key = e.tombstone.round.gang_key
    gang = s.gangs[key]
    for node in e.nodes:
        _bury(s, node, e.tombstone)
    s.put(
        s.gangs,
        key,
        replace(
            gang,
            state=GangState.STOPPING,
            reason=e.tombstone.reason,
            since=s.m.now,
            deadline=e.deadline,
        ),
    )


def _bury(s: State, node: str, tombstone: Tombstone) -> None:
    key = (node, tombstone.round.gang_key)
    s.put(s.tombstones, key, TombstoneRecord(tombstone=tombstone, position=s.m.position))


def _gang_released(s: State, e: ev.GangReleased) -> None:
    for node in s.gangs[e.gang].nodes:
        _release(s, node, e.gang)


def _release(s: State, node: str, gang: GangKey) -> None:
    grant = s.grants.get((node, gang))
    if grant is None:
        return
    if (node, gang) in s.tombstones:
        s.put(s.grants, (node, gang), replace(grant, released=True))
    else:
        s.put(s.grants, (node, gang), None)
        _room_grew(s)


def _room_grew(s: State) -> None:
    s.put(s.meta, "", replace(s.m, capacity=s.m.capacity + 1))


def _gang_stop_overdue(s: State, e: ev.GangStopOverdue) -> None:
    s.put(s.gangs, e.gang, replace(s.gangs[e.gang], reason=e.reason, deadline=e.deadline))


def _stale_ranks_seen(s: State, e: ev.StaleRanksSeen) -> None:
    _bury(s, e.node, e.tombstone)


def _tombstone_cleared(s: State, e: ev.TombstoneCleared) -> None:
    s.put(s.tombstones, (e.node, e.gang), None)
    grant = s.grants.get((e.node, e.gang))
    if grant is not None and grant.released:
        s.put(s.grants, (e.node, e.gang), None)
        _room_grew(s)


def _ranks_seen(s: State, e: ev.RanksSeen) -> None:
    for seen in e.ranks:
        s.put(s.ranks, seen.key, _observed(s.ranks[seen.key], seen))


def _observed(rank: RankRecord, seen: RankObservation) -> RankRecord:
    return replace(
        rank,
        state=seen.state,
        pid=seen.pid or rank.pid,
        started_at=seen.started_at or rank.started_at,
        exit=seen.exit if seen.exit is not None else rank.exit,
    )


def _step_seen(s: State, e: ev.StepSeen) -> None:
    key = e.round.gang_key
    s.put(s.gangs, key, replace(s.gangs[key], step=e.step))


def _restart_spent(s: State, e: ev.RestartSpent) -> None:
    job = s.jobs[e.job]
    oldest = e.at - job.spec.restart_window_s
    s.put(s.jobs, e.job, replace(job, spent=(*(t for t in job.spent if t > oldest), e.at)))


def _restart_counted(s: State, e: ev.RestartCounted) -> None:
    job = s.jobs[e.job]
    s.put(s.jobs, e.job, replace(job, restarts=job.restarts + 1, port_retries=e.port_retries))


def _incident_opened(s: State, e: ev.IncidentOpened) -> None:
    s.put(s.incidents, (e.job, e.incident.id), e.incident)
    s.put(s.jobs, e.job, replace(s.jobs[e.job], next_incident=e.incident.id + 1))


def _incident_attributed(s: State, e: ev.IncidentAttributed) -> None:
    key = (e.job, e.incident)
    changed = replace(
        s.incidents[key],
        cause=e.cause,
        victims=e.victims,
        stopped_at=e.stopped_at,
        action=e.action,
        reached=e.reached,
    )
    s.put(s.incidents, key, changed)


def _incident_phase_reached(s: State, e: ev.IncidentPhaseReached) -> None:
    key = (e.job, e.incident)
    times: dict[str, Any] = {f"{e.phase}_at": e.at}
    if e.phase == "stepped":
        times["step"] = e.step
    s.put(s.incidents, key, replace(s.incidents[key], **times))


def _incident_closed(s: State, e: ev.IncidentClosed) -> None:
    key = (e.job, e.incident)
    s.put(s.incidents, key, replace(s.incidents[key], closed_at=e.at))


def _node_joined(s: State, e: ev.NodeJoined) -> None:
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
        if e.log_id == s.log_id:
            fresh = replace(fresh, adopt_from="")
        _room_grew(s)
    s.put(s.nodes, e.node, fresh)


def _node_moved(s: State, e: ev.NodeMoved) -> None:
    node = s.nodes[e.node]
    since = s.m.now if e.to is not node.state else node.since
    s.put(s.nodes, e.node, replace(node, state=e.to, reason=e.reason, since=since, deadline=e.deadline))
    if e.to is NodeState.READY:
        _room_grew(s)


def _orphans_seen(s: State, e: ev.OrphansSeen) -> None:
    s.put(s.nodes, e.node, replace(s.nodes[e.node], orphans=e.orphans, held=e.held))
    above = max((key.job + 1 for key in e.orphans), default=0)
    s.put(s.meta, "", replace(s.m, next_job=max(s.m.next_job, above)))


def _node_adopted(s: State, e: ev.NodeAdopted) -> None:
    node = replace(s.nodes[e.node], adopt_from=e.adopt_from, orphans=(), held=Held())
    s.put(s.nodes, e.node, node)


def _job_adopted(s: State, e: ev.JobAdopted) -> None:
    now = s.m.now
    job = JobRecord(
        id=e.job,
        spec=e.spec,
        state=JobState.RUNNING,
        reason=e.reason,
        since=now,
        submitted_at=now,
        started_at=now,
        deadline=e.deadline,
        request_id=e.request_id,
    )
    s.put(s.jobs, e.job, job)
    s.put(s.meta, "", replace(s.m, next_job=max(s.m.next_job, e.job + 1)))


def _ranks_adopted(s: State, e: ev.RanksAdopted) -> None:
    key = e.round.gang_key
    grant = GrantRecord(
        slots=e.grant.slots,
        devices=e.grant.devices,
        group_rank=e.group_rank,
        first_rank=e.first_rank,
    )
    s.put(s.grants, (e.node, key), grant)
    old = s.gangs.get(key)
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
        s.put(s.ranks, seen.key, _observed(blank, seen))


def _storage_space_changed(s: State, e: ev.StorageSpaceChanged) -> None:
    s.put(s.meta, "", replace(s.m, storage_low=e.low))


_APPLIERS: dict[type, Callable[[State, Any], None]] = {
    ev.JobSubmitted: _job_submitted,
    ev.JobMoved: _job_moved,
    ev.JobReasonChanged: _job_reason_changed,
    ev.JobForgotten: _job_forgotten,
    ev.PlacementAsked: _placement_asked,
    ev.PlacementRejected: _placement_rejected,
    ev.WorldFormed: _world_formed,
    ev.GangMoved: _gang_moved,
    ev.GangStopping: _gang_stopping,
    ev.GangReleased: _gang_released,
    ev.GangStopOverdue: _gang_stop_overdue,
    ev.StaleRanksSeen: _stale_ranks_seen,
    ev.TombstoneCleared: _tombstone_cleared,
    ev.RanksSeen: _ranks_seen,
    ev.StepSeen: _step_seen,
    ev.RestartSpent: _restart_spent,
    ev.RestartCounted: _restart_counted,
    ev.IncidentOpened: _incident_opened,
    ev.IncidentAttributed: _incident_attributed,
    ev.IncidentPhaseReached: _incident_phase_reached,
    ev.IncidentClosed: _incident_closed,
    ev.NodeJoined: _node_joined,
    ev.NodeMoved: _node_moved,
    ev.OrphansSeen: _orphans_seen,
    ev.NodeAdopted: _node_adopted,
    ev.JobAdopted: _job_adopted,
    ev.RanksAdopted: _ranks_adopted,
    ev.StorageSpaceChanged: _storage_space_changed,
}
