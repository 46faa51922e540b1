"""Stops on purpose, checkpoints, how many nodes a job may have, and those that are kept for it."""

from dataclasses import replace

from dlroverd.core.folds.room import room_grew
from dlroverd.core.records import SpareRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey


def stop_planned(s: State, e: ev.StopPlanned) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], plan=e.plan, deadline=e.deadline))


def stop_called_off(s: State, e: ev.StopCalledOff) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], plan=None, deadline=e.deadline))
    withdraw(s, e.job)


def withdraw(s: State, job: int) -> None:
    """Have no gang of a job save for a stop that is not to come."""
    for gang in s.gangs_of(job):
        if gang.ask >= 0:
            s.put(s.gangs, gang.key, replace(gang, ask=-1, asked=-1))


def checkpoints_offered(s: State, e: ev.CheckpointsOffered) -> None:
    key = e.round.gang_key
    s.put(s.gangs, key, replace(s.gangs[key], asks=True))
    s.put(s.jobs, key.job, replace(s.jobs[key.job], checkpoints=True))


def save_asked(s: State, e: ev.SaveAsked) -> None:
    key = e.round.gang_key
    gang = s.gangs[key]
    s.put(s.gangs, key, replace(gang, ask=e.step, asked=gang.asked if gang.asked >= 0 else e.step))


def cadence_set(s: State, e: ev.CadenceSet) -> None:
    key = e.round.gang_key
    s.put(s.gangs, key, replace(s.gangs[key], cadence=e.cadence))


def checkpoint_seen(s: State, e: ev.CheckpointSeen) -> None:
    key = e.round.gang_key
    s.put(s.gangs, key, replace(s.gangs[key], checkpoint=e.step))
    if not s.jobs[key.job].checkpoints:
        s.put(s.jobs, key.job, replace(s.jobs[key.job], checkpoints=True))


def job_scaled(s: State, e: ev.JobScaled) -> None:
    job = s.jobs[e.job]
    roles = tuple(
        replace(role, nodes_min=e.nodes_min, nodes_max=e.nodes_max) if role.name == e.role else role
        for role in job.spec.roles
    )
    s.put(s.jobs, e.job, replace(job, spec=replace(job.spec, roles=roles), asked_capacity=-1))


def room_seen(s: State, e: ev.RoomSeen) -> None:
    s.put(s.gangs, e.gang, replace(s.gangs[e.gang], room=e.room, reason=e.reason, deadline=e.deadline))


def room_asked(s: State, e: ev.RoomAsked) -> None:
    job = s.jobs[e.job]
    made_room_at = s.m.now if e.victims else job.made_room_at
    s.put(s.jobs, e.job, replace(job, victims=e.victims, made_room_at=made_room_at))


def spares_kept(s: State, e: ev.SparesKept) -> None:
    release_spares(s, e.gang, but=frozenset(e.nodes))
    for node in e.nodes:
        s.put(s.spares, (node, e.gang), SpareRecord(slots=e.slots))


def release_spares(s: State, gang: GangKey, *, but: frozenset[str] = frozenset()) -> None:
    """Give back what is kept for a gang, except on the nodes `but`."""
    for node in sorted(s.gang_spares.get(gang, ())):
        if node not in but:
            s.put(s.spares, (node, gang), None)
            room_grew(s)
