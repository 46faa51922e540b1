"""When a job takes more nodes: room that stays is taken, at a checkpoint, once nobody else waits for it."""

from dlroverd.core.passes import elastic, planned
from dlroverd.core.records import GangRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.job import GangState, GrowWhen, JobState
from dlroverd.model.plan import PlanKind


def arm(turn: Turn, job: int) -> None:
    """Have each gang that has just come to run, and could use more nodes, held against what is free later."""
    record = turn.state.jobs.get(job)
    if record is None or record.state is not JobState.RUNNING:
        return
    for gang in turn.state.gangs_of(job):
        if gang.state is GangState.RUNNING and not gang.deadline and (deadline := _look_at(turn, gang)):
            turn.emit(ev.RoomSeen(gang=gang.key, room=0, reason=_size(turn, gang), deadline=deadline))


def _look_at(turn: Turn, gang: GangRecord) -> float:
    """When a running gang is to be held against what is free, its spares looked at; 0 if that can change nothing."""
    record = turn.state.jobs[gang.key.job]
    role = record.spec.role(gang.key.role)
    wants = record.spec.grow is not GrowWhen.NEVER and len(gang.nodes) + role.node_unit <= elastic.most(role)
    return turn.now + turn.limits.grow_cooldown_s if wants or role.spares else 0.0


def _size(turn: Turn, gang: GangRecord) -> str:
    """Say what a gang has of what it may have."""
    role = turn.state.jobs[gang.key.job].spec.role(gang.key.role)
    kept, most = len(turn.state.gang_spares.get(gang.key, ())), elastic.most(role)
    said = f"runs on {len(gang.nodes)} of up to {most} nodes" if len(gang.nodes) < most else "every rank runs"
    return said if kept >= role.spares else f"{said}; {kept} of its {role.spares} spares could be kept so far"


def look(turn: Turn, gang: GangRecord) -> None:
    """Hold a running gang against what is free: room seen twice, with a settling time between, is taken."""
    state, limits = turn.state, turn.limits
    elastic.keep_spares(turn, gang.key)
    record = state.jobs[gang.key.job]
    role = record.spec.role(gang.key.role)
    most = elastic.most(role) - len(gang.nodes)
    room = 0
    # Who waits comes first, and a job that is to stop anyway takes nothing more.
    if most > 0 and record.spec.grow is not GrowWhen.NEVER and not state.waiting and record.plan is None:
        room = len(elastic.find(turn, gang, role.node_unit, most, unit=role.node_unit))
    settled = bool(room) and room <= gang.room
    mute = record.spec.grow is GrowWhen.CHECKPOINT and not record.checkpoints
    reason = _size(turn, gang)
    if room and mute:
        reason += f"; {room} more could be had, but it has told of no checkpoint, so it does not grow by itself"
    again = limits.grow_settle_s if room and not settled and not mute else limits.grow_cooldown_s
    deadline = turn.now + again if most > 0 or role.spares else 0.0
    turn.emit(ev.RoomSeen(gang=gang.key, room=room, reason=reason, deadline=deadline))
    if settled and not mute and record.state is JobState.RUNNING:
        why = f"to go on with {room} more node{'s' if room > 1 else ''}"
        wait_s = limits.checkpoint_wait_s if record.spec.grow is GrowWhen.CHECKPOINT else 0.0
        planned.order(turn, record.id, PlanKind.GROW, why, wait_s=wait_s)
