"""Jobs: accepted, waiting, placed, stopped on purpose, over."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_JOB = "job/{job}"
_STOP = "job/{job}/planned_stop"
_ROOM = "job/{job}/room"

SCHEMAS = (
    fact(
        ev.JobSubmitted,
        kind=EventKind.BEGIN,
        span=_JOB,
        actor="spec.user.name",
        dlrover=("master.job_train", "action.job_start"),
    ),
    fact(ev.JobAdopted, kind=EventKind.BEGIN, span=_JOB),
    fact(
        ev.JobMoved,
        where({"to": ("failed",)}, Severity.ERROR, EventKind.END, _JOB),
        where({"to": ("succeeded", "cancelled")}, Severity.INFO, EventKind.END, _JOB),
        where({"on": ("planned_stop",)}, Severity.INFO, EventKind.END, _STOP, _JOB),
        where({"on": ("fault",)}, Severity.WARNING, parent=_JOB),
        parent=_JOB,
        says={"deadline": "when it is looked at next, in seconds since 1970; 0: the new state is final"},
        dlrover=(
            "master.job_train",
            "agent.job_abortion",
            "controller.stage_changed",
            "controller.stop_requested",
            "controller.failover_stop",
            "action.job_success",
            "action.job_fail",
            "action.early_stop",
            "action.stop",
        ),
    ),
    fact(ev.JobReasonChanged, severity=Severity.DEBUG, parent=_JOB, dlrover=("action.worker_pending",)),
    fact(ev.LogRestored, severity=Severity.WARNING),
    fact(ev.JobUnconfirmed, severity=Severity.WARNING, parent=_JOB),
    fact(ev.JobFound, parent=_JOB),
    fact(ev.JobForgotten, severity=Severity.DEBUG),
    fact(ev.RequestTaken, severity=Severity.DEBUG, parent=_JOB),
    fact(ev.PlacementAsked, severity=Severity.DEBUG, parent=_JOB),
    fact(ev.PlacementRejected, severity=Severity.WARNING, parent=_JOB),
    fact(ev.NodeAvoided, severity=Severity.WARNING, parent=_JOB),
    fact(ev.AvoidanceEnded, severity=Severity.DEBUG, parent=_JOB),
    fact(
        ev.StopPlanned,
        kind=EventKind.BEGIN,
        span=_STOP,
        parent=_JOB,
        cause="plan.reason",
        dlrover=("controller.stop_requested",),
    ),
    fact(ev.StopCalledOff, kind=EventKind.END, span=_STOP, parent=_JOB),
    fact(ev.JobScaled, parent=_JOB),
    fact(ev.RoomSeen, severity=Severity.DEBUG, parent="job/{gang[job]}"),
    fact(
        ev.RoomAsked,
        where({"victims": ([],)}, Severity.INFO, EventKind.END, _ROOM, _JOB),
        kind=EventKind.BEGIN,
        span=_ROOM,
        parent=_JOB,
        says={"victims": "the jobs that are to make room"},
    ),
    fact(
        ev.StorageSpaceChanged,
        where({"low": (False,)}, Severity.INFO, EventKind.END, "storage_low"),
        severity=Severity.CRITICAL,
        kind=EventKind.BEGIN,
        span="storage_low",
    ),
)
