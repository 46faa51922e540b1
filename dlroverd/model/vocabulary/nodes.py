"""Nodes: what their agents say, silence, outages, drills, and what differs from what is recorded."""

from dlroverd.model import event as ev
from dlroverd.model.spooled import EventKind, Severity
from dlroverd.model.vocabulary.schema import fact, where

_DEVICES, _STUCK, _DRILL = "node/{node}/devices", "node/{node}/stuck", "node/{node}/drill"
_DOMAIN = "domain/{kind}/{name}"

SCHEMAS = (
    fact(ev.NodeJoined, dlrover=("master.node_join",)),
    fact(
        ev.NodeMoved,
        where({"to": ("lost",)}, Severity.ERROR),
        where({"to": ("unreachable", "foreign")}, Severity.WARNING),
        dlrover=("master.worker_no_heartbeat", "action.worker_no_heartbeat"),
    ),
    fact(ev.SuspectNamed, severity=Severity.DEBUG),
    fact(ev.SuspectsSeen, severity=Severity.DEBUG),
    fact(ev.NodeConfirmedDown, severity=Severity.WARNING),
    fact(
        ev.DevicesSeen,
        where({"devices": ([],)}, Severity.INFO, EventKind.END, _DEVICES),
        severity=Severity.WARNING,
        kind=EventKind.BEGIN,
        span=_DEVICES,
        dlrover=("action.device_warning",),
    ),
    fact(
        ev.StuckSeen,
        where({"stuck": ([],)}, Severity.INFO, EventKind.END, _STUCK),
        severity=Severity.ERROR,
        kind=EventKind.BEGIN,
        span=_STUCK,
        about="stuck.key",
    ),
    fact(ev.DrillOrdered, severity=Severity.WARNING, kind=EventKind.BEGIN, span=_DRILL, about="drill.rank"),
    fact(ev.DrillsEnded, kind=EventKind.END, span=_DRILL),
    fact(ev.OrphansSeen, where({"orphans": ([],)}), severity=Severity.WARNING, about="orphans"),
    fact(ev.DifferenceSeen, severity=Severity.WARNING, cause="difference.what"),
    fact(
        ev.SignalSeen,
        where({"severity": ("fatal",)}, Severity.CRITICAL),
        where({"severity": ("error",)}, Severity.ERROR),
        where({"severity": ("warning",)}, Severity.WARNING),
        cause="sentence",
        says={"action": "what automation makes of it: note, doubt or quarantine", "sentence": "what it means"},
        dlrover=("action.device_warning",),
    ),
    fact(ev.NodeCleared),
    fact(ev.TopologyChanged, says={"nodes": "the nodes that are elsewhere now, with their domains"}),
    fact(
        ev.DomainFailed,
        severity=Severity.ERROR,
        kind=EventKind.BEGIN,
        span=_DOMAIN,
        says={"nodes": "those that fell silent", "began_at": "when the first was last heard, in seconds since 1970"},
    ),
    fact(ev.DomainSettled, parent=_DOMAIN),
    fact(ev.DomainCleared, kind=EventKind.END, span=_DOMAIN),
    fact(ev.NodeAdopted),
)
