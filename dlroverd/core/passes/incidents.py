"""The marks of an incident: detected, stopped, decided, placed, started, first step, caught up (model/phases.py)."""

from dlroverd.core.records import GangRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind, Incident
from dlroverd.model.ids import GangKey
from dlroverd.model.phases import last_mark

# How long after a drill a fault may still be its doing: collective libraries take their time to notice.
_ECHO_S = 120.0


def opened(turn: Turn, gang: GangKey, began_at: float, cause: Cause | None) -> None:
    """Begin an incident, unless the job's current one has not got past its stop: then it is part of that."""
    state = turn.state
    current = state.open_incident(gang.job)
    number = state.jobs[gang.job].next_incident
    began_at = min(max(began_at, _earliest(turn, gang.job, number)), turn.now)
    if current is not None:
        if not current.stopped_at:
            return
        began_at = max(began_at, last_mark(current))
        turn.emit(ev.IncidentClosed(job=gang.job, incident=current.id, at=began_at))
    record = state.gangs[gang]
    incident = Incident(
        id=number,
        gang=gang,
        round=record.round,
        began_at=began_at,
        detected_at=turn.now,
        cause=cause,
        drill=_drill(turn, record),
        nodes=len(record.nodes),
    )
    turn.emit(ev.IncidentOpened(job=gang.job, incident=incident))


def first_sign(turn: Turn, incident: Incident, cause: Cause) -> float:
    """Tell when a lost node was last heard, if that was before what an incident was opened for; else 0."""
    heard_at = turn.state.nodes[cause.node].heard_at if cause.kind is CauseKind.NODE_LOST and cause.node else 0.0
    if not 0.0 < heard_at < incident.began_at:
        return 0.0
    return max(heard_at, _earliest(turn, incident.gang.job, incident.id))


def _earliest(turn: Turn, job: int, incident: int) -> float:
    """Tell since when an incident may have gone on: no time belongs to two, or is before the job's."""
    before = turn.state.incidents.get((job, incident - 1))
    return max(turn.state.jobs[job].submitted_at, before.closed_at if before is not None else 0.0)


def _drill(turn: Turn, record: GangRecord) -> str:
    """Say who ordered a fault at a gang's current world or one of its nodes; "" if nobody did."""
    for node in record.nodes:
        for ordered in turn.state.nodes[node].drills:
            rank = ordered.drill.rank
            if turn.now > ordered.at + ordered.drill.for_s + _ECHO_S:
                continue
            if rank is None or rank.round_key == record.key.at(record.round):
                return f"{ordered.drill.kind} ordered by {ordered.actor}"
    return ""


def reached(turn: Turn, job: int, phase: str) -> None:
    """Note that the job's open incident got to `phase` (placed or started) now."""
    incident = turn.state.open_incident(job)
    if incident is not None and incident.stopped_at and not getattr(incident, f"{phase}_at"):
        turn.emit(ev.IncidentPhaseReached(job=job, incident=incident.id, phase=phase, at=turn.now))


def stepped(turn: Turn, gang: GangKey, step: int, at: float) -> None:
    """Note the first step of the gang's new world."""
    incident = _waits_for(turn, gang)
    if incident is None:
        return
    if not incident.started_at:
        reached(turn, gang.job, "started")
        incident = turn.state.incidents[gang.job, incident.id]
    at = min(max(at, incident.started_at), turn.now)
    turn.emit(ev.IncidentPhaseReached(job=gang.job, incident=incident.id, phase="stepped", at=at, step=step))


def caught_up(turn: Turn, gang: GangKey, at: float) -> None:
    """Note that a gang's world is where the one before it was: the incident is over."""
    incident = _waits_for(turn, gang)
    if incident is None or not incident.stepped_at:
        return
    at = min(max(at, incident.stepped_at), turn.now)
    turn.emit(ev.IncidentPhaseReached(job=gang.job, incident=incident.id, phase="caught_up", at=at))
    turn.emit(ev.IncidentClosed(job=gang.job, incident=incident.id, at=at))


def _waits_for(turn: Turn, gang: GangKey) -> Incident | None:
    """Give the open incident that a gang's new world is to end."""
    incident = turn.state.open_incident(gang.job)
    return incident if incident is not None and incident.gang == gang and incident.placed_at else None


def closed(turn: Turn, job: int) -> None:
    """End the job's open incident, whatever it got to."""
    incident = turn.state.open_incident(job)
    if incident is not None:
        turn.emit(ev.IncidentClosed(job=job, incident=incident.id, at=turn.now))
