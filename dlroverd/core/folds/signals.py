"""What nodes said of their health."""

from dataclasses import replace

from dlroverd.core.records import SignalRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.signal import KEPT


def signal_seen(s: State, e: ev.SignalSeen) -> None:
    node = s.nodes[e.node]
    seen = SignalRecord(
        signal=e.signal,
        boot_id=e.boot_id,
        severity=e.severity,
        action=e.action,
        sentence=e.sentence,
        done=e.done,
        then=e.then,
    )
    s.put(s.nodes, e.node, replace(node, signals=(*node.signals, seen)[-KEPT:]))


def node_cleared(s: State, e: ev.NodeCleared) -> None:
    # They stay: their agent goes on telling of them, and they are known by that.
    node = s.nodes[e.node]
    s.put(s.nodes, e.node, replace(node, signals=tuple(replace(each, cleared=True) for each in node.signals)))
