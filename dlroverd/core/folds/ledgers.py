"""Each job's ledger: which category its time belongs to, told from the state after each event that is about it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.job import GangState, JobState
from dlroverd.model.ledger import Category, Ledger
from dlroverd.model.spooled import EventKind

_STATES = {
    JobState.QUEUED: Category.WAITING,
    JobState.PLACING: Category.WAITING,
    JobState.SUSPENDED: Category.WAITING,
    JobState.RESTARTING: Category.RESTARTING,
    JobState.STOPPING: Category.STOPPING,
}

_ENDS = (EventKind.BEGIN, EventKind.END)
_LIVE = (GangState.STARTING, GangState.RUNNING)

# The events after which a job may do something else, and which job.
_JOB_OF: dict[type, Callable[[Any], int]] = {
    ev.JobSubmitted: lambda e: e.job,
    ev.JobMoved: lambda e: e.job,
    ev.JobAdopted: lambda e: e.job,
    ev.WorldFormed: lambda e: e.round.job,
    ev.RanksAdopted: lambda e: e.round.job,
    ev.GangReleased: lambda e: e.gang.job,
    ev.JobUnconfirmed: lambda e: e.job,
    ev.StepSeen: lambda e: e.round.job,
    ev.WorldCaughtUp: lambda e: e.round.job,
    ev.IncidentOpened: lambda e: e.job,
    ev.IncidentAttributed: lambda e: e.job,
    ev.IncidentPhaseReached: lambda e: e.job,
    ev.IncidentClosed: lambda e: e.job,
    ev.EventForwarded: lambda e: e.event.rank.job if e.event.rank is not None and e.event.kind in _ENDS else 0,
}


def account(s: State, event: ev.Event) -> None:
    """Keep the ledger of the job that `event`, which has been applied, is about."""
    job_of = _JOB_OF.get(type(event))
    job = s.jobs.get(job_of(event)) if job_of is not None else None
    if job is None:
        return
    ledger = kept = ledger_of(s, job)
    match event:
        case ev.WorldFormed() | ev.RanksAdopted():
            ledger = replace(ledger.hold(_nodes(s, job), s.m.now), placed_at=ledger.placed_at or s.m.now)
        case ev.GangReleased() | ev.JobUnconfirmed():
            ledger = ledger.hold(_nodes(s, job), s.m.now)
        case ev.StepSeen():
            ledger = replace(ledger, steps_seen=True)
        case ev.IncidentAttributed() if event.began_at:
            ledger = ledger.began_earlier(event.began_at)
        case _:
            pass
    category = _category(s, job, ledger)
    # That it makes steps was not known while it loaded.
    loaded = _start(s, job) if ledger.steps_seen and ledger.category is Category.UNKNOWN else None
    ledger = ledger.turn_to(category, _moment(s, event), was=loaded)
    if more := ledger.nodes - kept.nodes:
        s.put(s.meta, "", replace(s.m, hazard=s.m.hazard.hold(more, s.m.now)))
    if ledger != kept or job.id not in s.ledgers:
        s.put(s.ledgers, job.id, ledger)


def ledger_of(s: State, job: JobRecord) -> Ledger:
    """Give a job's ledger; what a job did under a release that kept none is unknown."""
    kept = s.ledgers.get(job.id)
    if kept is not None:
        return kept
    over = job.finished_at if job.state.final else 0.0
    at = job.submitted_at
    begun = Ledger(submitted_at=at, category=Category.UNKNOWN, since=at, turned_at=at)
    return begun.turn_to(None, over) if over else begun


def _moment(s: State, event: ev.Event) -> float:
    """When it began to do something else: a step, and a fault, are before the daemon knows of them."""
    match event:
        case ev.IncidentOpened():
            return event.incident.began_at
        case ev.StepSeen() | ev.WorldCaughtUp() | ev.IncidentPhaseReached() | ev.IncidentClosed():
            return event.at
        case ev.EventForwarded():
            return min(event.event.time, s.m.now)
        case _:
            return s.m.now


def _category(s: State, job: JobRecord, ledger: Ledger) -> Category | None:
    if job.state.final:
        return None
    if job.state in _STATES:
        return _STATES[job.state]
    incident = s.open_incident(job.id)
    if incident is not None and not incident.placed_at:
        return Category.RESTARTING
    gangs = [gang for gang in s.gangs_of(job.id) if gang.state in _LIVE]
    # A rank may make a step before the last of the others is known to run.
    if job.state is JobState.STARTING and any(gang.state is GangState.STARTING and gang.step < 0 for gang in gangs):
        return _start(s, job)
    if (incident is not None and not incident.stepped_at) or all(gang.step < 0 for gang in gangs):
        return _start(s, job) if ledger.steps_seen else Category.UNKNOWN
    if any(gang.saving for gang in gangs):
        return Category.CHECKPOINTING
    if any(gang.step >= 0 and gang.redo_to >= 0 for gang in gangs):
        return Category.REDONE
    return Category.PRODUCTIVE


def _start(s: State, job: JobRecord) -> Category:
    return Category.RESTARTING if any(gang.round > 1 for gang in s.gangs_of(job.id)) else Category.STARTING


def _nodes(s: State, job: JobRecord) -> int:
    held = set()
    for gang in s.gangs_of(job.id):
        for node in gang.nodes:
            grant = s.grants.get((node, gang.key))
            if grant is not None and not grant.released:
                held.add(node)
    return len(held)
