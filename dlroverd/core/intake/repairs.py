"""A person's word that nodes were repaired."""

from dlroverd.core.intake.holds import unknown
from dlroverd.core.passes import holds, reputation
from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.hold import AUTOMATION


def clear(turn: Turn, item: inp.ClearNodes) -> Outcome:
    """Let what was said of nodes before count no more, and lift what automation set there; what people hold stays."""
    refused = unknown(turn.state, item.nodes)
    if refused is not None:
        return refused
    for name in dict.fromkeys(item.nodes):
        reason = f"it was repaired, says {item.actor}: {item.reason}"
        turn.emit(ev.NodeCleared(node=name, actor=item.actor, reason=item.reason))
        reputation.repaired(turn, name, reason)
        for each in turn.state.nodes[name].holds:
            if each.owner == AUTOMATION:
                turn.emit(
                    ev.NodeReleased(node=name, owner=each.owner, kind=each.kind, actor=item.actor, reason=item.reason)
                )
                holds.let_go(turn, name, AUTOMATION)
    return Done()
