"""The inventory of which node is in which rack, behind which switch and so on, as the daemon's configuration has it."""

from dlroverd.core.turn import Done, Outcome, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.node import NodeDomains


def take(turn: Turn, item: inp.TopologySet) -> Outcome:
    """Note what differs from the inventory before. Nodes that are not known count from when they join."""
    state = turn.state
    now = {each.node: each.domains for each in item.nodes if each.domains}
    changed = tuple(
        NodeDomains(node=node, domains=now.get(node, ()))
        for node in sorted({*now, *state.domains})
        if now.get(node) != state.domains.get(node)
    )
    if changed or item.pack_by != state.m.pack_by:
        turn.emit(ev.TopologyChanged(pack_by=item.pack_by, nodes=changed))
    return Done()
