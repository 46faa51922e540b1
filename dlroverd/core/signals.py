"""Questions about what nodes said of their health: how often, and what it explains. Changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dlroverd.core.classify import is_echo
from dlroverd.core.records import GangRecord, NodeRecord, SignalRecord
from dlroverd.core.state import State
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.ids import RankKey
from dlroverd.model.signal import Signal, SignalRule, SignalSeverity, SignalTable

# How the rules of causes begin that a signal proves.
RULE = "signal."
# The kernel speaks of a fault before or just after a rank dies of it; clocks differ, and a collective takes its time.
_BEFORE_S, _AFTER_S = 60.0, 30.0
_PROVE = frozenset({SignalSeverity.ERROR, SignalSeverity.FATAL})
# Ends that say nothing of why; a part of the host that failed meanwhile does.
_UNEXPLAINED = frozenset({CauseKind.SIGNAL, CauseKind.VANISHED, CauseKind.EXIT_CODE})
_KILL = 9


def counted(node: NodeRecord, signal: Signal, since: float) -> int:
    """Count how often a node said this of this thing since then (0: since its boot), or its repair."""
    return sum(
        each.signal.count
        for each in node.signals
        if (each.signal.name, each.signal.device, each.signal.part) == (signal.name, signal.device, signal.part)
        and not each.cleared
        and (each.signal.at > since if since else each.boot_id == node.boot_id)
    )


def thing(node: str, signal: Signal) -> str:
    """Name what a signal is about."""
    if signal.device:
        return f"device {signal.device} of node {node}"
    return f"{signal.part} of node {node}" if signal.part else f"node {node}"


def behind(
    state: State, table: SignalTable, worlds: Sequence[GangRecord], at: float, found: Cause | None
) -> Cause | None:
    """Name what a kernel or driver said near `at` of what these worlds ran on, if it says more than `found` does."""
    for gang in worlds:
        for node in gang.nodes:
            for seen in _near(state.nodes[node], at):
                rule = table.rule(seen.signal.name)
                proof = _proof(state, _Told(gang, node, seen.signal), rule, found) if rule is not None else None
                if proof is not None:
                    return proof
    return None


def _near(node: NodeRecord, at: float) -> Iterator[SignalRecord]:
    """Give what a node said of faults about then, what concerns devices first, then in the order of time."""
    near = [
        each
        for each in node.signals
        if each.severity in _PROVE and not each.cleared and at - _BEFORE_S <= each.signal.at <= at + _AFTER_S
    ]
    yield from sorted(near, key=lambda each: (not each.signal.device, each.signal.at))


@dataclass(frozen=True, slots=True)
class _Told:
    """A signal of a node that a gang's world had."""

    gang: GangRecord
    node: str
    signal: Signal


def _proof(state: State, told: _Told, rule: SignalRule, found: Cause | None) -> Cause | None:
    """Give what a signal proves of a world, if it is about what that ran on."""
    gang, node, signal = told.gang, told.node, told.signal
    if rule.cause is None:
        return None
    rank: RankKey | None = None
    if signal.device:
        grant = state.grants.get((node, gang.key))
        if grant is None or signal.device not in grant.devices:
            return None
        rank = gang.key.at(gang.round).rank(grant.first_rank + grant.devices.index(signal.device))
    elif rule.cause is CauseKind.OUT_OF_MEMORY:
        rank = _killed(state, told, found)
        if rank is None:
            return None
    elif not _explains(node, found):
        return None
    known = state.ranks.get(rank) if rank is not None else None
    return Cause(
        kind=rule.cause,
        rule=f"{RULE}{rule.signal}",
        sentence=f"{thing(node, signal)}: {rule.says} ({signal.detail}); {rule.then}",
        rank=known.key if known is not None else None,
        node=node,
        device=signal.device,
        exit=known.exit if known is not None else None,
    )


def _killed(state: State, told: _Told, found: Cause | None) -> RankKey | None:
    """Give the rank that the kernel killed for memory, or of which it killed a process."""
    for rank in state.ranks_on(told.gang, told.node):
        if told.signal.pid and rank.pid == told.signal.pid:
            return rank.key
    if found is None or found.rank is None or found.node != told.node:
        return None
    lost_a_child = found.rule == "loader.killed" or (found.exit is not None and found.exit.signal == _KILL)
    return found.rank if lost_a_child else None


def _explains(node: str, found: Cause | None) -> bool:
    """Whether a part of a host that failed says more than what the ranks' ends came to."""
    if found is None or is_echo(found):
        return True
    if found.node != node:
        return False
    return found.kind in _UNEXPLAINED or (found.kind is CauseKind.EXCEPTION and "OSError" in found.sentence)
