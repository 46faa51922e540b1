"""Gangs, their worlds, the ranks in them, and the tombstones of old ones."""

from dataclasses import replace

from dlroverd.core.folds.plans import release_spares
from dlroverd.core.folds.room import room_grew
from dlroverd.core.records import GrantRecord, RankRecord, TombstoneRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, RankState
from dlroverd.model.world import RankObservation, Tombstone


def world_formed(s: State, e: ev.WorldFormed) -> None:
    key = e.round.gang_key
    gang = s.gangs[key]
    old_world, new_world = list(s.world(gang)), []
    keys = e.round.ranks(e.world_size)
    new_nodes = {grant.node for grant in e.grants}
    for node in gang.nodes:
        if node not in new_nodes:
            release(s, node, key)
    first = 0
    for group_rank, grant in enumerate(e.grants):
        record = GrantRecord(slots=grant.slots, devices=grant.devices, group_rank=group_rank, first_rank=first)
        s.put(s.grants, (grant.node, key), record)
        for local in range(grant.slots):
            key_ = keys[first + local]
            new_world.append(RankRecord(key=key_, local_rank=local, node=grant.node, state=RankState.ASSIGNED))
        first += grant.slots
    s.put_world(key, old_world, new_world)
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
            redo_to=max(gang.redo_to, gang.step, *(rank.exit.step for rank in old_world if rank.exit is not None)),
            checkpoint=-1,
            room=0,
            saver=-1,
            saving="",
            asks=False,
            ask=-1,
            asked=-1,
            cadence=None,
            suspicion=None,
            checking=e.checking,
            network=e.network,
            proven=() if e.checking else gang.proven,
        ),
    )
    for node in sorted(new_nodes & s.gang_spares.get(key, set())):
        s.put(s.spares, (node, key), None)
    master = s.nodes[e.grants[0].node]
    s.put(s.nodes, master.id, replace(master, next_port=e.master_port + 1))


def node_checked(s: State, e: ev.NodeChecked) -> None:
    key = (e.node, e.check.round.gang_key)
    s.put(s.grants, key, replace(s.grants[key], check=e.check))


def world_cleared(s: State, e: ev.WorldCleared) -> None:
    gang = s.gangs[e.round.gang_key]
    cleared = replace(gang, checking=False, master_addr=e.master_addr, network=e.network, proven=gang.nodes)
    s.put(s.gangs, gang.key, cleared)


def gang_moved(s: State, e: ev.GangMoved) -> None:
    gang = s.gangs[e.gang]
    s.put(
        s.gangs,
        e.gang,
        replace(gang, state=e.to, reason=e.reason, since=s.m.now, deadline=e.deadline, suspicion=None),
    )


def gang_stopping(s: State, e: ev.GangStopping) -> None:
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
            suspicion=None,
        ),
    )


def gang_released(s: State, e: ev.GangReleased) -> None:
    for node in s.gangs[e.gang].nodes:
        release(s, node, e.gang)
    release_spares(s, e.gang)


def gang_stop_overdue(s: State, e: ev.GangStopOverdue) -> None:
    s.put(s.gangs, e.gang, replace(s.gangs[e.gang], reason=e.reason, deadline=e.deadline))


def stale_ranks_seen(s: State, e: ev.StaleRanksSeen) -> None:
    _bury(s, e.node, e.tombstone)


def tombstone_cleared(s: State, e: ev.TombstoneCleared) -> None:
    s.put(s.tombstones, (e.node, e.gang), None)
    grant = s.grants.get((e.node, e.gang))
    if grant is not None and grant.released:
        s.put(s.grants, (e.node, e.gang), None)
        room_grew(s)


def ranks_seen(s: State, e: ev.RanksSeen) -> None:
    s.put_moved((rank, observed(rank, seen, s.m.now)) for seen in e.ranks if (rank := s.ranks[seen.key]))


def step_seen(s: State, e: ev.StepSeen) -> None:
    gang = s.gangs[e.round.gang_key]
    redo_to = gang.redo_to if e.step < gang.redo_to else -1
    s.put(s.gangs, gang.key, replace(gang, step=e.step, redo_to=redo_to, saving=""))


def world_caught_up(s: State, e: ev.WorldCaughtUp) -> None:
    key = e.round.gang_key
    s.put(s.gangs, key, replace(s.gangs[key], redo_to=-1, saving=""))


def _bury(s: State, node: str, tombstone: Tombstone) -> None:
    key = (node, tombstone.round.gang_key)
    s.put(s.tombstones, key, TombstoneRecord(tombstone=tombstone, position=s.m.position))


def release(s: State, node: str, gang: GangKey) -> None:
    """Give back what a gang holds of a node; while it is to be stopped there, that stays taken."""
    grant = s.grants.get((node, gang))
    if grant is None:
        return
    if (node, gang) in s.tombstones:
        s.put(s.grants, (node, gang), replace(grant, released=True))
    else:
        s.put(s.grants, (node, gang), None)
        room_grew(s)


def observed(rank: RankRecord, seen: RankObservation, ended_at: float) -> RankRecord:
    """Give what is known of a rank once it was seen; `ended_at` (0: not known) is now, should this tell of its end."""
    exit_ = seen.exit if seen.exit is not None else rank.exit
    # Not by `replace`, which takes twice as long: each rank of a world passes here at each of its moves.
    return RankRecord(
        key=rank.key,
        local_rank=rank.local_rank,
        node=rank.node,
        state=seen.state,
        pid=seen.pid or rank.pid,
        started_at=seen.started_at or rank.started_at,
        exit=exit_,
        ended_at=rank.ended_at or (ended_at if exit_ is not None else 0.0),
    )
