"""What agents say: hello, what they see, silence; and a person's word that a node is this log's."""

from dlroverd.core.intake import adoption, reports
from dlroverd.core.passes import checkups, holds, leases, liveness, reputation
from dlroverd.core.records import NodeRecord
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.fault import CONFIRMED_DOWN, REBOOTED
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeState
from dlroverd.model.world import Observed


def hello(turn: Turn, item: inp.NodeHello) -> Outcome:
    """Take in an agent's session: who it is, which log it follows, what it found running."""
    state = turn.state
    old = state.nodes.get(item.node)
    rebooted = old is not None and old.boot_id != item.boot_id
    if old is None or (old.boot_id, old.facts, old.log_id) != (item.boot_id, item.facts, item.log_id):
        turn.emit(ev.NodeJoined(node=item.node, boot_id=item.boot_id, facts=item.facts, log_id=item.log_id))
    turn.dirty_nodes.add(item.node)
    if state.nodes[item.node].drills:
        # Carried out or not: a drill that outlived its agent would be done twice.
        turn.emit(ev.DrillsEnded(node=item.node))
    if rebooted and old is not None:
        reputation.rebooted(turn, old)
    if _follows_another(turn, item):
        _settle_foreign(turn, item)
        if item.log_id in state.m.ancestors and not state.nodes[item.node].adopt_from:
            # Who restored this log has said that it takes their place. What it cannot take in stays listed.
            adoption.take_in(turn, state.nodes[item.node], "restore")
        return Done()
    _ready(turn, state.nodes[item.node])
    reports.take(turn, item.node, item.observed)
    if rebooted:
        reports.ended(turn, item.node, item.observed, REBOOTED)
    elif old is not None and not item.log_id:
        reports.forgotten(turn, item.node, item.observed)
    holds.looked_at(turn, item.node)
    if old is None or rebooted:
        checkups.joined(turn, item.node)
    return Done()


def _follows_another(turn: Turn, item: inp.NodeHello) -> bool:
    """Whether the agent obeys another log, or a later state of this one than this daemon has (a restored copy)."""
    if item.log_id == turn.state.log_id:
        return item.position >= turn.state.m.position
    return bool(item.log_id)


def _settle_foreign(turn: Turn, item: inp.NodeHello) -> None:
    node = turn.state.nodes[item.node]
    alive = tuple(seen.key for seen in item.observed.ranks if seen.state is not RankState.GONE)
    if (node.orphans, node.held) != (alive, item.held) and not node.adopt_from:
        turn.emit(ev.OrphansSeen(node=item.node, orphans=alive, held=item.held))
    if node.state is not NodeState.FOREIGN:
        turn.emit(
            ev.NodeMoved(
                node=item.node,
                on="foreign_log",
                to=NodeState.FOREIGN,
                reason=f"its agent follows another log ({item.log_id[:8]}); its ranks are left alone; "
                f"`dlroverctl node adopt {item.node}` takes it and them in",
            )
        )


def _ready(turn: Turn, node: NodeRecord) -> None:
    on = {
        NodeState.JOINING: "ready",
        NodeState.FOREIGN: "adopted",
        NodeState.UNREACHABLE: "heard",
        NodeState.LOST: "heard",
    }.get(node.state)
    if on is not None:
        turn.emit(ev.NodeMoved(node=node.id, on=on, to=NodeState.READY, reason="its agent is connected"))
        for key in sorted(turn.state.node_gangs.get(node.id, ())):
            turn.touch(key)


def report(turn: Turn, item: inp.NodeReport) -> Outcome:
    """Take in what an agent sees.

    Only from a node that is ready: one that never said hello, follows another log, or was silent since its last
    hello is not believed before the next.
    """
    node = turn.state.nodes.get(item.node)
    if node is not None and node.state is NodeState.READY:
        reports.take(turn, item.node, item.observed)
        holds.looked_at(turn, item.node)
    return Done()


def silent(turn: Turn, item: inp.NodeSilent) -> Outcome:
    """Call a node unreachable, unless it already is."""
    node = turn.state.nodes.get(item.node)
    if node is not None and node.state in (NodeState.READY, NodeState.FOREIGN, NodeState.JOINING):
        liveness.unreachable(turn, node)
    return Done()


def still_silent(turn: Turn, item: inp.StillSilent) -> Outcome:
    """Take note of how long a node has been silent: leases of its ranks may have run out."""
    if item.node in turn.state.nodes:
        leases.end(turn, item.node, item.silent_s)
    return Done()


def confirm_down(turn: Turn, item: inp.ConfirmDown) -> Outcome:
    """Take a person's word that nothing runs on a silent node any more."""
    node = turn.state.nodes.get(item.node)
    if node is None:
        return _no_node(item.node)
    if node.state not in (NodeState.UNREACHABLE, NodeState.LOST):
        return Refused(
            "connected",
            f"Node {item.node} is {node.state}: its agent is connected, so it is not down. "
            "To end what runs there, cancel or restart the jobs.",
        )
    turn.emit(ev.NodeConfirmedDown(node=item.node, actor=item.actor))
    how = f"{CONFIRMED_DOWN} by {item.actor}"
    if node.state is NodeState.UNREACHABLE:
        liveness.lose(turn, node, how)
    else:
        turn.emit(ev.NodeMoved(node=item.node, on="confirmed", to=NodeState.LOST, reason=how))
    reports.ended(turn, item.node, Observed(version=0), how)
    return Done()


def _no_node(name: str) -> Refused:
    return Refused("not_found", f"There is no node {name}; see `dlroverctl node list`.")


def adopt(turn: Turn, item: inp.AdoptNode) -> Outcome:
    """Take a node that follows another log, and the ranks it runs, into this one."""
    node = turn.state.nodes.get(item.node)
    if node is None:
        return _no_node(item.node)
    if node.state is not NodeState.FOREIGN:
        return Refused("not_foreign", f"Node {item.node} is {node.state} and follows this daemon's log already.")
    if node.adopt_from:
        return Done()
    return adoption.take_in(turn, node, item.actor)
