"""A log that was restored: its jobs and nodes until they are heard of again."""

from dataclasses import replace

from dlroverd.core.folds.plans import release_spares
from dlroverd.core.folds.room import room_grew
from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.job import GangState
from dlroverd.model.node import NodeState
from dlroverd.model.restored import Restored


def log_restored(s: State, e: ev.LogRestored) -> None:
    s.put(s.meta, "", replace(s.m, ancestors=e.ancestors, next_job=e.next_job))
    for node in list(s.nodes.values()):
        if node.state is not NodeState.FOREIGN:
            s.put(s.nodes, node.id, replace(node, unheard=True))


def job_unconfirmed(s: State, e: ev.JobUnconfirmed) -> None:
    for gang in s.gangs_of(e.job):
        if gang.state is GangState.SUCCEEDED:
            continue
        _let_go(s, gang)
        state = GangState.WAITING if gang.state is GangState.WAITING else GangState.STOPPED
        unknown = replace(gang, state=state, round=gang.round + e.rounds, nodes=(), world_size=0, deadline=0.0)
        s.put(s.gangs, gang.key, replace(unknown, since=s.m.now, checking=False, saving="", cadence=None, ask=-1))
    s.put(s.jobs, e.job, replace(s.jobs[e.job], restored=Restored.UNCONFIRMED))
    room_grew(s)


def job_found(s: State, e: ev.JobFound) -> None:
    for gang in s.gangs_of(e.job):
        _let_go(s, gang)
        s.put(s.gangs, gang.key, None)
    s.put(s.jobs, e.job, replace(s.jobs[e.job], restored=Restored.FOUND))


def _let_go(s: State, gang: GangRecord) -> None:
    """Forget a gang's world, what it holds, and that it was to be stopped."""
    for rank in list(s.world(gang)):
        s.put(s.ranks, rank.key, None)
    told = list(s.gang_tombstones.get(gang.key, ()))
    for node in sorted({*gang.nodes, *told}):
        s.put(s.tombstones, (node, gang.key), None)
        s.put(s.grants, (node, gang.key), None)
    release_spares(s, gang.key)
