"""The phases of an incident: detected, stopped, placed, started, first step."""

from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, Incident
from dlroverd.model.ids import GangKey

# How long after a drill a fault may still be its doing: collective libraries take their time to notice.
_ECHO_S = 120.0


def opened(turn: Turn, gang: GangKey, began_at: float, cause: Cause | None) -> None:
    """Begin an incident, unless the job's current one has not got past its stop: then it is part of that."""
    state = turn.state
    current = state.open_incident(gang.job)
    if current is not None and not current.stopped_at:
        return
    if current is not None:
        turn.emit(ev.IncidentClosed(job=gang.job, incident=current.id, at=turn.now))
    incident = Incident(
        id=state.jobs[gang.job].next_incident,
        gang=gang,
        round=state.gangs[gang].round,
        began_at=min(began_at, turn.now),
        detected_at=turn.now,
        cause=cause,
        drill=_drill(turn, gang),
    )
    turn.emit(ev.IncidentOpened(job=gang.job, incident=incident))


def _drill(turn: Turn, gang: GangKey) -> str:
    """Say who ordered a fault at the gang's current world or one of its nodes; "" if nobody did."""
    record = turn.state.gangs[gang]
    for node in record.nodes:
        for ordered in turn.state.nodes[node].drills:
            rank = ordered.drill.rank
            if turn.now > ordered.at + ordered.drill.for_s + _ECHO_S:
                continue
            if rank is None or rank.round_key == gang.at(record.round):
                return f"{ordered.drill.kind} ordered by {ordered.actor}"
    return ""


def reached(turn: Turn, job: int, phase: str) -> None:
    """Note that the job's open incident got to `phase` (placed or started) now."""
    incident = turn.state.open_incident(job)
    if incident is not None and incident.stopped_at and not getattr(incident, f"{phase}_at"):
        turn.emit(ev.IncidentPhaseReached(job=job, incident=incident.id, phase=phase, at=turn.now))


def stepped(turn: Turn, gang: GangKey, step: int, at: float) -> None:
    """Note the first step of the gang's new world: the incident is over."""
    incident = turn.state.open_incident(gang.job)
    if incident is None or incident.gang != gang or not incident.placed_at:
        return
    if not incident.started_at:
        reached(turn, gang.job, "started")
        incident = turn.state.incidents[gang.job, incident.id]
    at = min(max(at, incident.started_at), turn.now)
    turn.emit(ev.IncidentPhaseReached(job=gang.job, incident=incident.id, phase="stepped", at=at, step=step))
    turn.emit(ev.IncidentClosed(job=gang.job, incident=incident.id, at=at))


def closed(turn: Turn, job: int) -> None:
    """End the job's open incident, whatever it got to."""
    incident = turn.state.open_incident(job)
    if incident is not None:
        turn.emit(ev.IncidentClosed(job=job, incident=incident.id, at=turn.now))
