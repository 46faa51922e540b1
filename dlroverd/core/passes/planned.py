"""Stops on purpose: ordered, announced to the ranks, begun at a checkpoint or when the wait is over, and followed up.

A planned stop is no fault: no incident, and nobody's budget pays. One that waits is dropped when the job ends; a fault
meanwhile stops the job sooner, and what was planned follows then.
"""

from collections.abc import Sequence
from dataclasses import replace

from dlroverd.core.passes import elastic, faults, finish, incidents
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.job import JobState
from dlroverd.model.plan import Plan, PlanKind

_RESIZES = frozenset({PlanKind.GROW, PlanKind.SCALE})
# Somebody waits for the job to be gone: a weightier plan that stands is carried out as soon as these would be.
_WANT_THE_NODES = frozenset({PlanKind.PREEMPT, PlanKind.DRAIN})
# Which plan stands when two want the same job: a later one of this rank or a higher one.
_RANK = {
    PlanKind.TIME_LIMIT: -1,
    PlanKind.GROW: 0,
    PlanKind.SCALE: 1,
    PlanKind.PREEMPT: 2,
    PlanKind.DRAIN: 3,
    PlanKind.SUSPEND: 4,
}


def order(turn: Turn, job: int, kind: PlanKind, reason: str, *, wait_s: float, to: JobState = JobState.QUEUED) -> None:
    """Have a job stopped within `wait_s`: at its next checkpoint if it tells of them, else at once.

    A job that waits for nodes is only moved to `to`; one that is ending, or is `to` already, is left.
    """
    record = turn.state.jobs[job]
    waits = record.state in (JobState.QUEUED, JobState.PLACING) and not _live(turn, job)
    if (
        record.state.final
        or record.state is JobState.STOPPING
        or record.state is to
        or (waits and to is JobState.QUEUED)
    ):
        return
    known = record.plan
    if known is not None and known.stopping:
        if _RANK[kind] > _RANK[known.kind]:
            _plan(turn, record, replace(known, kind=kind, reason=reason, to=to))
        return
    wait_s = wait_s if record.checkpoints and record.state is JobState.RUNNING else 0.0
    by, grace_s = turn.now + wait_s, record.spec.preempt_grace_s
    plan = Plan(kind=kind, reason=reason, asked_at=turn.now, by=by, grace_s=grace_s, to=to)
    if known is not None and _RANK[kind] < _RANK[known.kind]:
        if kind not in _WANT_THE_NODES or by >= known.by:
            return
        plan = replace(known, by=by)
    _plan(turn, record, plan, sooner=bool(wait_s))
    if record.state is JobState.RESTARTING:
        turn.touched_jobs.add(job)  # nothing of it may be left to stop: it only waits for its restart
    elif not wait_s:
        begin(turn, job)


def _plan(turn: Turn, record: JobRecord, plan: Plan, *, sooner: bool = False) -> None:
    deadline = min(record.deadline, plan.by) if sooner else record.deadline
    turn.emit(ev.StopPlanned(job=record.id, plan=plan, deadline=deadline))


def near_limit(turn: Turn, record: JobRecord, limit_at: float) -> None:
    """Tell the ranks of a job that it reaches its time limit soon. It trains on meanwhile: it may be done before."""
    spec = record.spec
    reason = f"reaches its time limit of {spec.time_limit_s:g} s"
    plan = Plan(
        kind=PlanKind.TIME_LIMIT,
        reason=reason,
        asked_at=turn.now,
        by=limit_at,
        grace_s=spec.restart_grace_s,
        to=JobState.FAILED,
    )
    turn.emit(ev.StopPlanned(job=record.id, plan=plan, deadline=limit_at))


def call_off(turn: Turn, job: int, kind: PlanKind, reason: str) -> None:
    """Drop a planned stop of this kind, unless it has begun."""
    record = turn.state.jobs[job]
    plan = record.plan
    if plan is not None and plan.kind is kind and not plan.stopping:
        running = record.state is JobState.RUNNING
        deadline = finish.running_deadline(turn, job) if running else record.deadline
        turn.emit(ev.StopCalledOff(job=job, reason=reason, deadline=deadline))


def checkpointed(turn: Turn, gang: GangRecord) -> None:
    """Take a gang's complete checkpoint as the moment that a planned stop waits for; little is left to save after it.

    Ranks that were asked for one make it yet, and an older one, which has just come to storage, is not it.
    """
    record = turn.state.jobs[gang.key.job]
    plan = record.plan
    if plan is None or plan.stopping or plan.kind is PlanKind.TIME_LIMIT or record.state is not JobState.RUNNING:
        return
    if gang.checkpoint >= gang.asked:
        _plan(turn, record, replace(plan, grace_s=min(plan.grace_s, record.spec.restart_grace_s)))
        begin(turn, record.id)


def begin(turn: Turn, job: int) -> None:
    """Stop all that the job runs, and then follow up what was planned."""
    record = turn.state.jobs[job]
    plan = record.plan
    if plan is None:
        raise AssertionError(f"job {job} has no planned stop to begin")
    live = _live(turn, job)
    if not live:
        _leave(turn, record, plan)
        return
    incidents.closed(turn, job)
    for gang in live:
        faults.stop_gang(turn, gang.key, plan.grace_s, 0.0, plan.reason)
    deadline = turn.now + plan.grace_s + turn.limits.stop_margin_s
    turn.emit(ev.JobMoved(job=job, on="planned_stop", to=JobState.RESTARTING, reason=plan.reason, deadline=deadline))


def _live(turn: Turn, job: int) -> list[GangRecord]:
    return [gang for gang in turn.state.gangs_of(job) if gang.state in LIVE_GANG]


def _leave(turn: Turn, record: JobRecord, plan: Plan) -> None:
    """Nothing of the job runs: it waits for nodes, or is suspended while it does."""
    if plan.to is JobState.SUSPENDED:
        deadline = turn.now + turn.limits.review_s
        turn.emit(
            ev.JobMoved(job=record.id, on="suspended", to=JobState.SUSPENDED, reason=plan.reason, deadline=deadline)
        )


def conclude(turn: Turn, job: int, stopped: Sequence[GangRecord]) -> None:
    """Nothing of the job runs any more: do what was planned."""
    plan = turn.state.jobs[job].plan
    if plan is None:
        raise AssertionError(f"job {job} has no planned stop to follow up")
    if _live(turn, job):
        begin(turn, job)
        return
    if plan.kind in _RESIZES and elastic.resize(turn, job, stopped, plan.reason):
        return
    for gang in stopped:
        turn.emit(ev.GangReleased(gang=gang.key))
    if plan.to is JobState.SUSPENDED:
        incidents.closed(turn, job)
        on, deadline = "suspended", turn.now + turn.limits.review_s
    else:
        on, deadline = "needs_nodes", turn.now + turn.state.jobs[job].spec.queue_timeout_s
    turn.emit(ev.JobMoved(job=job, on=on, to=plan.to, reason=plan.reason, deadline=deadline))
