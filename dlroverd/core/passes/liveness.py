"""Silence is not death: a node is lost only with a second sign, or after a long time."""

from dlroverd.core.passes import faults
from dlroverd.core.state import GangRecord, NodeRecord
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, RankState
from dlroverd.model.node import NodeState


def unreachable(turn: Turn, node: NodeRecord) -> None:
    """Call a silent node unreachable; nothing else happens yet."""
    limits = turn.limits
    turn.emit(
        ev.NodeMoved(
            node=node.id,
            on="silent",
            to=NodeState.UNREACHABLE,
            reason=f"silent for {limits.unreachable_after_s:g} s; what it runs goes on",
            deadline=turn.now + limits.lost_after_s - limits.unreachable_after_s,
        )
    )


def overdue(turn: Turn, node: NodeRecord) -> None:
    """An unreachable node's deadline has passed: lost if there is a second sign, or if it has been too long."""
    # One sum, used as the deadline too: a difference rounded below it would be due again and again.
    until = node.since + (turn.limits.unreachable_limit_s - turn.limits.unreachable_after_s)
    sign = _sign(turn, node)
    if sign or turn.now >= until:
        lose(turn, node, sign or f"silent for {turn.limits.unreachable_limit_s:g} s, the limit")
        return
    turn.emit(
        ev.NodeMoved(
            node=node.id,
            on="no_second_sign",
            to=NodeState.UNREACHABLE,
            reason="silent, and nothing else says that it is down; what it runs may go on",
            deadline=until,
        )
    )


def second_sign(turn: Turn, gang: GangRecord) -> None:
    """A gang that stops is a second sign against each of its nodes that has been silent for `lost_after_s`."""
    quiet_s = turn.limits.lost_after_s - turn.limits.unreachable_after_s
    for name in gang.nodes:
        node = turn.state.nodes[name]
        if node.state is NodeState.UNREACHABLE and turn.now - node.since >= quiet_s:
            sign = _sign(turn, node)
            if sign:
                lose(turn, node, sign)


def _sign(turn: Turn, node: NodeRecord) -> str:
    """Tell whether a gang with ranks on the silent node failed on another node; "" if none did."""
    for key in sorted(turn.state.node_gangs.get(node.id, ())):
        gang = turn.state.gangs[key]
        if gang.state is not GangState.STOPPING:
            continue
        if any(
            rank.node != node.id and rank.state in (RankState.EXITED, RankState.GONE) for rank in turn.state.world(gang)
        ):
            return f"silent, and job {key.job} failed on its other nodes"
    return ""


def lose(turn: Turn, node: NodeRecord, reason: str) -> None:
    """Give a node up. Gangs with ranks elsewhere restart without it; one wholly on it may still run, so it waits."""
    turn.emit(ev.NodeMoved(node=node.id, on="lost", to=NodeState.LOST, reason=reason))
    for key in sorted(turn.state.node_gangs.get(node.id, ())):
        turn.touch(key)
        gang = turn.state.gangs[key]
        elsewhere = any(turn.state.nodes[name].state is not NodeState.LOST for name in gang.nodes)
        if gang.state in LIVE_GANG and elsewhere:
            faults.fail_gang(turn, key, node.since, _lost_cause(node.id, key, reason))


def lost_under(turn: Turn, gang: GangRecord) -> Cause | None:
    """Name the lost node that a stopped world leaves a rank on, if there is one: its peers died of that."""
    for rank in turn.state.world(gang):
        node = turn.state.nodes[rank.node]
        if rank.state is not RankState.GONE and node.state is NodeState.LOST:
            return _lost_cause(node.id, gang.key, node.reason)
    return None


def _lost_cause(node: str, gang: GangKey, reason: str) -> Cause:
    return Cause(
        kind=CauseKind.NODE_LOST,
        rule="node.lost",
        sentence=f"node {node} was lost under {gang}: {reason}",
        node=node,
    )
