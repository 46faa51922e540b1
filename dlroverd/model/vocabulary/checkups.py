"""Node checks: what nodes are to check, and what they found."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_CHECKUP = "node/{node}/checkup/{id}"

SCHEMAS = (
    fact(
        ev.CheckupAsked,
        kind=EventKind.BEGIN,
        span="node/{node}/checkup/{checkup[id]}",
        cause="cause",
        says={"cause": "why: asked, joined, job, failure, idle or held"},
    ),
    fact(
        ev.CheckupEnded,
        where({"state": ("bad",)}, Severity.WARNING, EventKind.END, _CHECKUP),
        kind=EventKind.END,
        span=_CHECKUP,
        says={"state": "ok, bad or unknown"},
    ),
    fact(ev.CheckupPutOff, severity=Severity.DEBUG, cause="cause", says={"cause": "idle or failure"}),
)
