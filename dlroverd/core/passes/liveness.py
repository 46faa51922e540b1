"""Silence is not death: a node is lost only with a second sign, or after a long time."""

from collections import Counter
from itertools import chain

from dlroverd.core.passes import faults, outages, reputation
from dlroverd.core.records import GangRecord, NodeRecord
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState, RankState
from dlroverd.model.node import NodeState

# Enough for the two that have to agree, with one to spare.
_ASKERS = 3
_AGREEING = 2
_ENDED = frozenset({RankState.EXITED, RankState.GONE})


def unreachable(turn: Turn, node: NodeRecord) -> None:
    """Call a silent node unreachable and have others call it; nothing else happens yet."""
    limits = turn.limits
    first_look_s = limits.lost_by_peers_s if node.facts.peer_port else limits.lost_after_s
    turn.emit(
        ev.NodeMoved(
            node=node.id,
            on="silent",
            to=NodeState.UNREACHABLE,
            heard_at=turn.now - limits.unreachable_after_s,
            reason=f"silent for {limits.unreachable_after_s:g} s; what it runs goes on",
            deadline=turn.now + (first_look_s - limits.unreachable_after_s),
        )
    )
    turn.silenced.add(node.id)
    _name_askers(turn, node.id)
    for suspect in sorted(turn.state.asked.get(node.id, ())):
        _name_askers(turn, suspect)


def _name_askers(turn: Turn, suspect: str) -> None:
    """Choose who calls a silent node: those that share a world with it, else any; only whoever is heard."""
    state = turn.state
    if not state.nodes[suspect].facts.peer_port:
        return
    near = (state.gangs[key].nodes for key in sorted(state.node_gangs.get(suspect, ())))
    fit: dict[str, None] = {}
    for name in chain(*near, state.nodes):
        if state.nodes[name].state is NodeState.READY and state.nodes[name].facts.peer_port and name != suspect:
            fit[name] = None
            if len(fit) == _ASKERS:
                break
    askers = tuple(fit)
    if askers != state.nodes[suspect].askers:
        turn.emit(ev.SuspectNamed(node=suspect, askers=askers))


def answered(turn: Turn, asker: str) -> None:
    """Weigh what an agent has newly said of the silent nodes that it was asked to call."""
    for name in sorted(turn.state.asked.get(asker, ())):
        node = turn.state.nodes[name]
        if node.state is NodeState.UNREACHABLE and (sign := _sign(turn, node)):
            lose(turn, node, sign)


def overdue(turn: Turn, node: NodeRecord) -> None:
    """An unreachable node's deadline has passed: lost if there is a second sign, or if it has been too long."""
    limits = turn.limits
    sign = _sign(turn, node)
    # Each a sum of the same parts as the deadline: a difference rounded below it would be due again and again.
    until = node.since + (limits.unreachable_limit_s - limits.unreachable_after_s)
    if sign or turn.now >= until:
        lose(turn, node, sign or f"silent for {limits.unreachable_limit_s:g} s, the limit")
        return
    quiet = node.since + (limits.lost_after_s - limits.unreachable_after_s)
    reach = [name for name, answers in _answers(turn, node) if answers]
    if reach:
        reason = f"silent, but {', '.join(reach)} can reach it: the way to the daemon is cut; what it runs goes on"
    else:
        reason = "silent, and nothing else says that it is down; what it runs may go on"
    deadline = quiet if turn.now < quiet else until
    turn.emit(
        ev.NodeMoved(node=node.id, on="no_second_sign", to=NodeState.UNREACHABLE, reason=reason, deadline=deadline)
    )


def second_sign(turn: Turn, gang: GangRecord) -> None:
    """A gang that stops is a second sign against each of its nodes that has been silent for long enough."""
    state = turn.state
    # Asked after each report of each node: it looks at the few that are silent.
    for name in sorted(name for name in state.silent if (name, gang.key) in state.grants):
        node = state.nodes[name]
        if node.state is NodeState.UNREACHABLE and (sign := _sign(turn, node)):
            lose(turn, node, sign)


def _answers(turn: Turn, node: NodeRecord) -> list[tuple[str, bool]]:
    """Tell what those who were asked to call a silent node, and are heard themselves, say of it."""
    said = []
    for name in node.askers:
        asker = turn.state.nodes[name]
        if asker.state is NodeState.READY:
            said += [(name, seen.answers) for seen in asker.suspects if seen.node == node.id]
    return said


def _sign(turn: Turn, node: NodeRecord) -> str:
    """Say what besides its silence, which has lasted long enough for that, tells that a node is down; "" if nothing."""
    limits = turn.limits
    said = _answers(turn, node)
    deaf = [name for name, answers in said if not answers]
    agreed = bool(deaf) and len(deaf) == len(said)
    if (
        agreed
        and len(deaf) >= _AGREEING
        and turn.now >= node.since + (limits.lost_by_peers_s - limits.unreachable_after_s)
    ):
        return f"silent, and {' and '.join(deaf)} cannot reach it either"
    if turn.now < node.since + (limits.lost_after_s - limits.unreachable_after_s):
        return ""
    if agreed:
        return f"silent, and {deaf[0]} cannot reach it either"
    return _failed_elsewhere(turn, node)


def _failed_elsewhere(turn: Turn, node: NodeRecord) -> str:
    for key in sorted(turn.state.node_gangs.get(node.id, ())):
        gang = turn.state.gangs[key]
        if gang.state is not GangState.STOPPING:
            continue
        tally = turn.state.tally.get(key, Counter())
        ended = sum(count for state, count in tally.items() if state in _ENDED)
        if ended > sum(rank.state in _ENDED for rank in turn.state.ranks_on(gang, node.id)):
            return f"silent, and job {key.job} failed on its other nodes"
    return ""


def lose(turn: Turn, node: NodeRecord, reason: str) -> None:
    """Give a node up. Gangs with ranks elsewhere restart without it; one wholly on it may still run, so it waits."""
    if not outages.took(turn.state, node.id):
        reputation.lost(turn, node, reason)
    turn.emit(ev.NodeMoved(node=node.id, on="lost", to=NodeState.LOST, reason=reason))
    for key in sorted(turn.state.node_gangs.get(node.id, ())):
        turn.touch(key)
        gang = turn.state.gangs[key]
        elsewhere = any(turn.state.nodes[name].state is not NodeState.LOST for name in gang.nodes)
        if gang.state in LIVE_GANG and elsewhere:
            faults.fail_gang(turn, key, node.heard_at or node.since, _lost_cause(node.id, key, reason))


def lost_under(turn: Turn, gang: GangRecord) -> Cause | None:
    """Name the lost node that a stopped world leaves a rank on, if there is one: its peers died of that."""
    if turn.state.silent.isdisjoint(gang.nodes):
        return None
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
