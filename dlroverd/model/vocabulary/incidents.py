"""Incidents: what ended a world, and how the job gets over it."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact

_INCIDENT = "job/{job}/incident/{incident}"
_JOB = "job/{job}"

SCHEMAS = (
    fact(
        ev.IncidentOpened,
        severity=Severity.WARNING,
        kind=EventKind.BEGIN,
        span="job/{job}/incident/{incident[id]}",
        parent=_JOB,
        about="incident.gang",
        cause="incident.cause.sentence",
        says={"incident": "the incident as far as it is known"},
        dlrover=("master.fault_detect", "declared.fault_tolerance", "action.rendezvous_timeout"),
    ),
    fact(
        ev.IncidentAttributed,
        severity=Severity.ERROR,
        parent=_INCIDENT,
        about="cause.rank",
        cause="cause.sentence",
        dlrover=("agent.process_fail", "action.relaunch_worker", "action.not_relaunch_worker"),
    ),
    fact(ev.IncidentPhaseReached, parent=_INCIDENT, says={"step": "the first step, 0 if the phase is not stepped"}),
    fact(ev.IncidentClosed, kind=EventKind.END, span=_INCIDENT, parent=_JOB),
    fact(ev.RestartSpent, severity=Severity.DEBUG, parent=_JOB),
    fact(
        ev.RestartCounted,
        parent=_JOB,
        dlrover=(
            "master.process_restart",
            "agent.process_restart",
            "agent.job_restart",
            "controller.restarting",
            "elastic.restarting",
            "action.restart",
            "action.restart_training",
        ),
    ),
    fact(ev.RestartDelayed, parent=_JOB),
)
