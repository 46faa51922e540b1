"""Node checks: what nodes are to check, and what they found."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_CHECKUP, _MATCH = "node/{node}/checkup/{id}", "match/{match}"

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
    fact(
        ev.MatchBegan,
        kind=EventKind.BEGIN,
        span=_MATCH,
        cause="cause",
        says={"cause": "why: asked, job or held", "job": "the job they meet for, 0 for none"},
    ),
    fact(ev.MatchRoundBegan, parent=_MATCH, says={"groups": "the nodes that meet"}),
    fact(
        ev.MatchEnded,
        kind=EventKind.END,
        span=_MATCH,
        says={"results": "what was found of each node, in their order"},
    ),
)
