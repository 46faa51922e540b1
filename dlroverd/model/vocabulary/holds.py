"""Nodes out of use: holds, reputation, and what automation finds and does."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_FINDING, _PAUSE = "node/{node}/finding", "automation/pause"
_HELD = "node/{node}/hold/{hold[owner]}/{hold[kind]}"

SCHEMAS = (
    fact(
        ev.NodeHeld,
        where({"hold.kind": ("quarantine",)}, Severity.WARNING, EventKind.BEGIN, _HELD),
        kind=EventKind.BEGIN,
        span=_HELD,
        cause="hold.reason",
    ),
    fact(
        ev.NodeReleased,
        kind=EventKind.END,
        span="node/{node}/hold/{owner}/{kind}",
        says={"kind": "the kind of hold", "actor": "who said so"},
    ),
    fact(ev.EvidenceSeen, severity=Severity.WARNING, cause="evidence.sentence"),
    fact(
        ev.StandingChanged,
        where({"standing": ("quarantined",)}, Severity.ERROR),
        where({"standing": ("suspect",)}, Severity.WARNING),
    ),
    fact(ev.FindingMade, severity=Severity.WARNING, kind=EventKind.BEGIN, span=_FINDING, cause="sentence"),
    fact(ev.FindingEnded, kind=EventKind.END, span=_FINDING),
    fact(ev.NodeRemoved, severity=Severity.WARNING),
    fact(ev.AutomationPaused, severity=Severity.WARNING, kind=EventKind.BEGIN, span=_PAUSE),
    fact(ev.AutomationResumed, kind=EventKind.END, span=_PAUSE),
)
