"""What follows when a state's deadline passes (transitions.FOLLOW_UPS has it in words)."""

from dlroverd.core import reasons
from dlroverd.core.passes import (
    checks,
    checkups,
    diagnoses,
    faults,
    finish,
    growth,
    holds,
    liveness,
    outages,
    placement,
    planned,
    queue,
    reputation,
    restart,
)
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.node import NodeState


def run(turn: Turn) -> None:
    """Take everything that is due now."""
    for table, key in turn.state.due(turn.now):
        if table == "jobs":
            _job(turn, turn.state.jobs[key])
        elif table == "gangs":
            _gang(turn, turn.state.gangs[key])
        elif table == "nodes" and turn.state.nodes[key].state is NodeState.UNREACHABLE:
            liveness.overdue(turn, turn.state.nodes[key])
        elif table == "outages":
            outages.due(turn, key)
        elif table == "holds":
            holds.overdue(turn, key)
        elif table == "reputations":
            reputation.review(turn, key)
        elif table == "findings":
            reputation.finding_due(turn, key)
        elif table == "checkups":
            checkups.due(turn, key)
        elif table == "diagnoses":
            diagnoses.overdue(turn, key)


def _job(turn: Turn, job: JobRecord) -> None:
    match job.state:
        case JobState.QUEUED if turn.now < job.queued_at + job.spec.queue_timeout_s:
            turn.emit(ev.AvoidanceEnded(job=job.id))
        case JobState.QUEUED:
            reason = f"not placed within {job.spec.queue_timeout_s:g} s: {queue.why(turn.state, turn.limits, job.id)}"
            finish.end(turn, job.id, JobState.FAILED, reason)
        case JobState.PLACING:
            placement.overrule(turn, job, f"no answer within {turn.limits.placing_s:g} s")
        case JobState.RUNNING:
            limit_at, plan = finish.time_limit_at(job, turn.now), job.plan
            if limit_at and turn.now >= limit_at:
                finish.end(turn, job.id, JobState.FAILED, f"reached its time limit of {job.spec.time_limit_s:g} s")
            elif plan is not None and not plan.stopping and turn.now >= plan.by:
                planned.begin(turn, job.id)
            elif limit_at and plan is None and turn.now >= finish.tell_limit_at(job, turn.now):
                planned.near_limit(turn, job, limit_at)
            else:
                _say(turn, job, job.reason, finish.running_deadline(turn, job.id, plan))
        case JobState.SUSPENDED:
            _say(turn, job, job.reason, turn.now + turn.limits.review_s)
        case JobState.RESTARTING if _has_waited(turn, job):
            turn.touched_jobs.add(job.id)  # its next start is decided now
        case JobState.STARTING | JobState.RESTARTING:
            reason = finish.with_unconfirmed(turn, job.id)
            _say(turn, job, reason, turn.now + turn.limits.stop_margin_s)
        case JobState.STOPPING:
            finish.abandon(turn, job.id)
        case _ if _leaves_something(turn, job.id):
            _say(turn, job, job.reason, turn.now + turn.limits.job_retention_s)
        case _:
            turn.emit(ev.JobForgotten(job=job.id))


def _has_waited(turn: Turn, job: JobRecord) -> bool:
    """Whether a restart that was delayed can be decided; while more of the job is being stopped it cannot."""
    return bool(job.not_before) and turn.now >= job.not_before and restart.can_be_decided(turn.state, job.id)


def _leaves_something(turn: Turn, job: int) -> bool:
    """Whether some node, of whichever round, has yet to confirm that nothing of an ended job is left."""
    return any(gang.key in turn.state.gang_tombstones for gang in turn.state.gangs_of(job))


def _say(turn: Turn, job: JobRecord, reason: str, deadline: float) -> None:
    turn.emit(ev.JobReasonChanged(job=job.id, reason=reason, deadline=deadline))


def _gang(turn: Turn, gang: GangRecord) -> None:
    waiting = [rank for rank in turn.state.world(gang) if rank.state in (RankState.ASSIGNED, RankState.STARTING)]
    if gang.state is GangState.RUNNING:
        growth.look(turn, gang)
    elif gang.checking and checkups.pending(turn, gang.nodes, gang.key.job):
        checks.put_off(turn, gang)
    elif gang.state is GangState.STARTING:
        limit_s = turn.state.jobs[gang.key.job].spec.start_timeout_s
        sentence = f"not started within {limit_s:g} s: {reasons.ranks_on(waiting)}"
        cause = Cause(kind=CauseKind.START_TIMEOUT, rule="start.timeout", sentence=sentence)
        faults.fail_gang(turn, gang.key, turn.now - limit_s, cause)
    elif gang.state is GangState.STOPPING:
        left = reasons.ranks_on(rank for rank in turn.state.world(gang) if rank.state is not RankState.GONE)
        turn.emit(
            ev.GangStopOverdue(
                gang=gang.key,
                reason=f"stop not confirmed: {left}",
                deadline=turn.now + turn.limits.stop_margin_s,
            )
        )
        turn.touch(gang.key)
