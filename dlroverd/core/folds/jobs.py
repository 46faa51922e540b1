"""Jobs: their states, their budget, their incidents, and the questions about where they go."""

from dataclasses import replace
from typing import Any

from dlroverd.core.folds.plans import withdraw
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import gang_key
from dlroverd.model.job import GangState, JobState
from dlroverd.model.plan import Plan, PlanKind

_PLANS_STAND = frozenset({JobState.STARTING, JobState.RUNNING, JobState.RESTARTING})


def job_submitted(s: State, e: ev.JobSubmitted) -> None:
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
            queued_at=s.m.now,
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
            key = gang_key(e.job, role.name, number)
            s.put(s.gangs, key, GangRecord(key=key, state=GangState.WAITING, reason=e.reason, since=s.m.now))


def request_taken(s: State, e: ev.RequestTaken) -> None:
    job = s.jobs[e.job]
    s.put(s.jobs, e.job, replace(job, later_requests=(*job.later_requests, e.request_id)))
    s.put(s.requests, e.request_id, e.job)


def job_moved(s: State, e: ev.JobMoved) -> None:
    job = s.jobs[e.job]
    if job.plan is not None and job.plan.kind is PlanKind.TIME_LIMIT:
        withdraw(s, e.job)  # it runs no more: should it again, it is told anew
    waits_anew = e.to is JobState.QUEUED and job.state is not JobState.PLACING
    s.put(
        s.jobs,
        e.job,
        replace(
            job,
            state=e.to,
            queued_at=s.m.now if waits_anew else job.queued_at,
            asked_capacity=-1 if waits_anew else job.asked_capacity,
            reason=e.reason,
            since=s.m.now,
            deadline=e.deadline,
            outcome=e.outcome if e.outcome is not None else job.outcome,
            gave_up=e.gave_up or job.gave_up,
            plan=_plan_after(job, e),
            not_before=0.0,
            restored=None if e.on == "resumed" else job.restored,
            preempted_at=s.m.now if _made_room(job, e) else job.preempted_at,
            suspended_s=job.suspended_s + (s.m.now - job.since if e.on == "resumed" and job.started_at else 0.0),
            question=job.question if e.to is JobState.PLACING else 0,
            started_at=job.started_at or (s.m.now if e.to is JobState.RUNNING else 0.0),
            finished_at=s.m.now if e.to.final else 0.0,
        ),
    )


def _plan_after(job: JobRecord, e: ev.JobMoved) -> Plan | None:
    """A planned stop stands while the job runs or stops for it, and is over once it was followed up.

    That of a time limit only while it runs.
    """
    if job.plan is None or job.plan.kind is PlanKind.TIME_LIMIT or e.on == "reformed" or e.to not in _PLANS_STAND:
        return None
    return replace(job.plan, stopping=True) if e.on == "planned_stop" else job.plan


def _made_room(job: JobRecord, e: ev.JobMoved) -> bool:
    return e.on == "planned_stop" and job.plan is not None and job.plan.kind is PlanKind.PREEMPT


def job_reason_changed(s: State, e: ev.JobReasonChanged) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], reason=e.reason, deadline=e.deadline))


def job_forgotten(s: State, e: ev.JobForgotten) -> None:
    job = s.jobs[e.job]
    for incident in s.incidents_of(e.job):
        s.put(s.incidents, (e.job, incident.id), None)
    for gang in s.gangs_of(e.job):
        for rank in list(s.world(gang)):
            s.put(s.ranks, rank.key, None)
        s.put(s.gangs, gang.key, None)
    for request in (job.request_id, *job.later_requests):
        s.put(s.requests, request, None)
    s.put(s.ledgers, e.job, None)
    s.put(s.commits, e.job, None)
    s.put(s.jobs, e.job, None)


def placement_asked(s: State, e: ev.PlacementAsked) -> None:
    job = s.jobs[e.job]
    s.put(s.jobs, e.job, replace(job, question=e.question, asked_capacity=e.capacity))
    s.put(s.meta, "", replace(s.m, next_question=e.question + 1))


def placement_rejected(s: State, e: ev.PlacementRejected) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], question=0))


def node_avoided(s: State, e: ev.NodeAvoided) -> None:
    job = s.jobs[e.job]
    others = tuple(entry for entry in job.avoid if entry[0] != e.node)
    s.put(s.jobs, e.job, replace(job, avoid=(*others, (e.node, e.until, e.reason))))


def avoidance_ended(s: State, e: ev.AvoidanceEnded) -> None:
    job = s.jobs[e.job]
    left = tuple(entry for entry in job.avoid if entry[1] > s.m.now)
    deadline = min([job.queued_at + job.spec.queue_timeout_s, *(until for _, until, _ in left)])
    s.put(s.jobs, e.job, replace(job, avoid=left, asked_capacity=-1, deadline=deadline))


def restart_spent(s: State, e: ev.RestartSpent) -> None:
    job = s.jobs[e.job]
    oldest = e.at - job.spec.restart_window_s
    s.put(s.jobs, e.job, replace(job, spent=(*(t for t in job.spent if t > oldest), e.at)))


def restart_counted(s: State, e: ev.RestartCounted) -> None:
    job = s.jobs[e.job]
    s.put(s.jobs, e.job, replace(job, restarts=job.restarts + 1, best_step=e.best_step, fruitless=e.fruitless))


def restart_delayed(s: State, e: ev.RestartDelayed) -> None:
    s.put(s.jobs, e.job, replace(s.jobs[e.job], not_before=e.until, reason=e.reason, deadline=e.until))


def incident_opened(s: State, e: ev.IncidentOpened) -> None:
    s.put(s.incidents, (e.job, e.incident.id), e.incident)
    s.put(s.jobs, e.job, replace(s.jobs[e.job], next_incident=e.incident.id + 1))


def incident_attributed(s: State, e: ev.IncidentAttributed) -> None:
    key = (e.job, e.incident)
    incident = s.incidents[key]
    changed = replace(
        incident,
        began_at=e.began_at or incident.began_at,
        cause=e.cause,
        victims=e.victims,
        stopped_at=e.stopped_at,
        decided_at=e.decided_at,
        action=e.action,
        reached=e.reached,
        domain=e.domain,
    )
    s.put(s.incidents, key, changed)


def incident_phase_reached(s: State, e: ev.IncidentPhaseReached) -> None:
    key = (e.job, e.incident)
    times: dict[str, Any] = {f"{e.phase}_at": e.at}
    if e.phase == "stepped":
        times["step"] = e.step
    s.put(s.incidents, key, replace(s.incidents[key], **times))


def incident_closed(s: State, e: ev.IncidentClosed) -> None:
    key = (e.job, e.incident)
    s.put(s.incidents, key, replace(s.incidents[key], closed_at=e.at))


def storage_space_changed(s: State, e: ev.StorageSpaceChanged) -> None:
    s.put(s.meta, "", replace(s.m, storage_low=e.low))
