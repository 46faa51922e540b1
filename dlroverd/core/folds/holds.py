"""Who holds nodes out of use."""

from dataclasses import replace

from dlroverd.core.folds.room import room_grew
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.hold import Hold, HoldKind


def node_held(s: State, e: ev.NodeHeld) -> None:
    _put(s, e.node, e.hold.owner, e.hold.kind, e.hold)


def node_released(s: State, e: ev.NodeReleased) -> None:
    _put(s, e.node, e.owner, e.kind, None)
    if not s.nodes[e.node].holds:
        room_grew(s)


def _put(s: State, node: str, owner: str, kind: HoldKind, hold: Hold | None) -> None:
    record = s.nodes[node]
    others = [each for each in record.holds if (each.owner, each.kind) != (owner, kind)]
    holds = [*others, hold] if hold is not None else others
    s.put(s.nodes, node, replace(record, holds=tuple(sorted(holds, key=lambda each: (each.owner, each.kind)))))
