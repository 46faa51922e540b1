"""Requests to stop a job for a while, and to give it more nodes or fewer; and the checkpoints it tells of."""

from dlroverd.core.intake import jobs, restored
from dlroverd.core.passes import cadence, checkpoints, elastic, holds, planned
from dlroverd.core.records import GangRecord
from dlroverd.core.turn import LIVE_GANG, Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.job import JobState
from dlroverd.model.plan import PlanKind


def suspend(turn: Turn, item: inp.Suspend) -> Outcome:
    """Stop a job and keep it, its nodes free for others, until somebody resumes it."""
    if (outcome := jobs.answered(turn.state, item)) is not None:
        return outcome
    record = turn.state.jobs[item.job]
    if record.state is JobState.STOPPING:
        return Refused("not_running", f"Job {item.job} is {record.state}; it is being stopped for good.")
    turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
    reason = f"suspended by {item.actor}; `dlroverctl job resume {item.job}` lets it go on"
    planned.order(turn, item.job, PlanKind.SUSPEND, reason, wait_s=item.within_s, to=JobState.SUSPENDED)
    return Done(item.job)


def resume(turn: Turn, item: inp.Resume) -> Outcome:
    """Put a suspended job back into the queue; one that is still to be suspended just goes on."""
    if (outcome := jobs.answered(turn.state, item)) is not None:
        return outcome
    record = turn.state.jobs[item.job]
    plan = record.plan
    suspending = plan is not None and plan.kind is PlanKind.SUSPEND
    if record.state is not JobState.SUSPENDED and not suspending:
        return Refused("not_suspended", f"Job {item.job} is {record.state}, not suspended; there is nothing to resume.")
    if plan is not None and plan.stopping:
        return Refused("not_suspended", f"Job {item.job} is being stopped; resume it once it is suspended.")
    if (refused := restored.may_still_run(turn.state, item.job)) is not None:
        return refused
    turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
    if suspending:
        planned.call_off(turn, item.job, PlanKind.SUSPEND, f"resumed by {item.actor}")
        return Done(item.job)
    turn.emit(
        ev.JobMoved(
            job=item.job,
            on="resumed",
            to=JobState.QUEUED,
            reason=f"resumed by {item.actor}; waits for its turn",
            deadline=turn.now + record.spec.queue_timeout_s,
        )
    )
    turn.touched_jobs.add(item.job)
    return Done(item.job)


def scale(turn: Turn, item: inp.Scale) -> Outcome:
    """Change how many nodes a role's gangs may have; a job that runs goes on with the new number."""
    outcome = jobs.answered(turn.state, item) or _illegal(turn, item) or _no_room(turn, item)
    if outcome is not None:
        return outcome
    record = turn.state.jobs[item.job]
    role = item.role or record.spec.roles[0].name
    low, high = item.nodes_min, item.nodes_max
    turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
    turn.emit(ev.JobScaled(job=item.job, role=role, nodes_min=low, nodes_max=high, actor=item.actor))
    turn.touched_jobs.add(item.job)
    # What was planned for the old range: planned anew if it is still to be.
    for kind in (PlanKind.SCALE, PlanKind.GROW):
        planned.call_off(turn, item.job, kind, f"scaled again by {item.actor}")
    if any(gang.state in LIVE_GANG and _is_out_of_range(turn, gang) for gang in turn.state.gangs_of(item.job)):
        wanted = f"{low}" if low == high else f"{low}:{high}"
        reason = f"scaled to {wanted} node{'s' if high > 1 else ''} by {item.actor}"
        planned.order(turn, item.job, PlanKind.SCALE, reason, wait_s=item.within_s)
    return Done(item.job)


def _is_out_of_range(turn: Turn, gang: GangRecord) -> bool:
    role = turn.state.jobs[gang.key.job].spec.role(gang.key.role)
    return not role.nodes_min <= len(gang.nodes) <= role.nodes_max


def _illegal(turn: Turn, item: inp.Scale) -> Refused | None:
    roles = {role.name: role for role in turn.state.jobs[item.job].spec.roles}
    name = item.role or (next(iter(roles)) if len(roles) == 1 else "")
    if name not in roles:
        told = f"has no role {item.role}" if item.role else "has several roles"
        return Refused("invalid", f"Job {item.job} {told}; name one of {', '.join(roles)} (--role).")
    role, low, high = roles[name], item.nodes_min, item.nodes_max
    if not 1 <= low <= high or low % role.node_unit or high % role.node_unit:
        unit = f"multiples of its node_unit {role.node_unit}" if role.node_unit > 1 else "at least 1"
        return Refused("invalid", f"{low}:{high} is no range of nodes for role {name}: use MIN:MAX, both {unit}.")
    wide = sum(count for size, count in turn.state.sizes.items() if size >= role.nproc_per_node)
    if low > wide:
        return Refused("never_fits", f"Role {name} would need {low} nodes; the fleet has {wide} that are large enough.")
    return None


def _no_room(turn: Turn, item: inp.Scale) -> Refused | None:
    """A job that runs is not stopped for nodes that are not there."""
    name = item.role or turn.state.jobs[item.job].spec.roles[0].name
    for gang in turn.state.gangs_of(item.job):
        if gang.key.role == name and gang.state in LIVE_GANG:
            lacks = elastic.lacks(turn, gang, item.nodes_min)
            if lacks:
                has, high = len(gang.nodes), item.nodes_max
                sentence = f"Role {name} has {has} of {item.nodes_min} nodes, and {lacks} more would have to be free"
                return Refused("no_room", f"{sentence}; scale it to {has}:{high}, and it takes them when they are.")
    return None


def checkpointed(turn: Turn, item: inp.GangCheckpointed) -> Outcome:
    """Note a world's newest checkpoint; a stop that waits for one begins."""
    checkpoints.made(turn, item.progress.round, item.progress.checkpoint, min(item.progress.at, turn.now))
    return Done()


def paced(turn: Turn, item: inp.GangPaced) -> Outcome:
    """Note that a world's ranks ask whether to save, and tell them when."""
    progress = item.progress
    gang = turn.state.gangs.get(progress.round.gang_key)
    if gang is None or gang.round != progress.round.round or gang.state not in LIVE_GANG:
        return Done()
    if progress.asks and not gang.asks:
        turn.emit(ev.CheckpointsOffered(round=progress.round))
        holds.checkpointed(turn, gang.key.job)
    gang = turn.state.gangs[gang.key]
    # Who is silent would not hear it in time, and saves at another step than the others.
    hears = turn.state.silent.isdisjoint(gang.nodes)
    if gang.asks and hears and gang.state in LIVE_GANG and item.steps_per_s > 0:
        cadence.ask(turn, gang, progress.step, item.steps_per_s)
        cadence.settle(turn, gang, progress.step, item.steps_per_s)
    return Done()
