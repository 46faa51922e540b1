"""How a job ends: by itself, or by being stopped."""

from dlroverd.core import reasons
from dlroverd.core.passes import faults, incidents
from dlroverd.core.records import JobRecord
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.plan import Plan

_UNCONFIRMED = "; not yet seen gone: "
_NOTHING_RUNS = frozenset({GangState.WAITING, GangState.STOPPED, GangState.SUCCEEDED})


def end(turn: Turn, job: int, outcome: JobState, reason: str, *, gave_up: bool = False) -> None:
    """Bring a job to `outcome`: stop all of it first if anything runs."""
    record = turn.state.jobs[job]
    gangs = turn.state.gangs_of(job)
    grace_s = record.spec.cancel_grace_s if outcome is JobState.CANCELLED else record.spec.restart_grace_s
    for gang in gangs:
        if gang.state in LIVE_GANG:
            faults.stop_gang(turn, gang.key, grace_s, 0.0, reason)
    on, to = "stop_ordered", JobState.STOPPING
    if all(gang.state in _NOTHING_RUNS for gang in turn.state.gangs_of(job)):
        direct = {
            (JobState.QUEUED, JobState.CANCELLED): "cancelled",
            (JobState.PLACING, JobState.CANCELLED): "cancelled",
            (JobState.QUEUED, JobState.FAILED): "expired",
            (JobState.RESTARTING, JobState.FAILED): "gave_up",
            (JobState.SUSPENDED, JobState.CANCELLED): "cancelled",
        }.get((record.state, outcome))
        if direct is not None:
            on, to = direct, outcome
    if record.state is JobState.STOPPING:
        return  # already on its way
    deadline = turn.now + grace_s + turn.limits.stop_margin_s
    if to.final:
        _final(turn, job, on, to, reason, gave_up=gave_up)
        return
    turn.emit(ev.JobMoved(job=job, on=on, to=to, reason=reason, deadline=deadline, outcome=outcome, gave_up=gave_up))
    turn.touched_jobs.add(job)


def _final(turn: Turn, job: int, on: str, to: JobState, reason: str, *, gave_up: bool = False) -> None:
    incidents.closed(turn, job)
    for gang in turn.state.gangs_of(job):
        if gang.key in turn.state.gang_spares or any((node, gang.key) in turn.state.grants for node in gang.nodes):
            turn.emit(ev.GangReleased(gang=gang.key))
    keep_until = turn.now + turn.limits.job_retention_s
    turn.emit(ev.JobMoved(job=job, on=on, to=to, reason=reason, deadline=keep_until, gave_up=gave_up))


def conclude(turn: Turn, job: int) -> None:
    """See whether all gangs of a job run, have succeeded, or have stopped, and move it on."""
    record = turn.state.jobs.get(job)
    if record is None or record.state.final:
        return
    gangs = turn.state.gangs_of(job)
    if record.state is JobState.STOPPING and all(gang.state in _NOTHING_RUNS for gang in gangs):
        outcome = record.outcome or JobState.CANCELLED
        _final(turn, job, outcome.value, outcome, record.reason)
    elif not gangs or record.state not in (JobState.STARTING, JobState.RUNNING, JobState.RESTARTING):
        return
    elif all(gang.state is GangState.SUCCEEDED for gang in gangs):
        _final(turn, job, "all_succeeded", JobState.SUCCEEDED, "every rank ended with 0")
    elif record.state is JobState.STARTING and all(
        gang.state in (GangState.RUNNING, GangState.SUCCEEDED) for gang in gangs
    ):
        turn.emit(
            ev.JobMoved(
                job=job,
                on="all_running",
                to=JobState.RUNNING,
                reason="every rank runs",
                deadline=running_deadline(turn, job, record.plan),
            )
        )
        incidents.reached(turn, job, "started")


def running_deadline(turn: Turn, job: int, plan: Plan | None = None) -> float:
    """When a running job is looked at next: when its stop is due, near its time limit, or at its next review."""
    record = turn.state.jobs[job]
    review = turn.now + turn.limits.review_s
    if plan is not None and not plan.stopping:
        review = min(review, plan.by)
    limit_at = time_limit_at(record, turn.now) if plan is not None else tell_limit_at(record, turn.now)
    return min(review, limit_at) if limit_at else review


def tell_limit_at(record: JobRecord, now: float) -> float:
    """When the ranks of a job that runs are told of its time limit, so that they can save; 0 if it has none."""
    limit_at, spec = time_limit_at(record, now), record.spec
    return limit_at - min(spec.preempt_grace_s, spec.time_limit_s / 2) if limit_at else 0.0


def time_limit_at(record: JobRecord, now: float) -> float:
    """When a job that runs reaches its time limit, 0 if it has none; the time that it was suspended does not count."""
    limit_s = record.spec.time_limit_s
    return (record.started_at or now) + limit_s + record.suspended_s if limit_s else 0.0


def with_unconfirmed(turn: Turn, job: int) -> str:
    """Give a job's reason, and name its ranks that were to stop and have not been seen gone."""
    reason = turn.state.jobs[job].reason.partition(_UNCONFIRMED)[0]
    left = _unconfirmed(turn, job)
    return f"{reason}{_UNCONFIRMED}{left}" if left else reason


def _unconfirmed(turn: Turn, job: int) -> str:
    return reasons.ranks_on(
        rank
        for gang in turn.state.gangs_of(job)
        if gang.state is GangState.STOPPING
        for rank in turn.state.world(gang)
        if rank.state is not RankState.GONE
    )


def abandon(turn: Turn, job: int) -> None:
    """A stop has gone on too long: the job ends; what is left keeps its slots until seen gone."""
    record = turn.state.jobs[job]
    outcome = record.outcome or JobState.CANCELLED
    left, reason = _unconfirmed(turn, job), with_unconfirmed(turn, job)
    for gang in turn.state.gangs_of(job):
        if gang.state is GangState.STOPPING:
            turn.emit(ev.GangMoved(gang=gang.key, on="all_gone", to=GangState.STOPPED, reason=f"not confirmed: {left}"))
    _final(turn, job, outcome.value, outcome, reason)
