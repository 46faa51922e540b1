"""Many nodes silent at once that share a switch, a PDU or a mount: one finding, one incident a job, one new world.

Two nodes of one domain that fall silent within the settle window are no coincidence. Whoever lost a node to it then
waits until no more fell for as long, so that its next world is formed without any of them; for a while after that, what
is left of a domain of which half is silent is not used.
"""

import re
from collections.abc import Iterator
from itertools import groupby

from dlroverd.core.records import Domain, GangRecord, OutageRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind

_TOGETHER = 2


def notice(turn: Turn) -> None:
    """See whether the nodes that fell silent in this turn share something with others that did lately."""
    if not turn.silenced:
        return
    state = turn.state
    together = _together(turn)
    # What explains best comes first: many nodes, and most of its own. Each node is explained once.
    weight = {domain: len(nodes) ** 2 / len(state.in_domain[domain]) for domain, nodes in together.items()}
    explained: set[str] = set()
    for domain in sorted(together, key=lambda each: (-weight[each], each)):
        nodes = together[domain] - explained
        if len(nodes) < _TOGETHER:
            continue
        explained |= nodes
        if nodes & turn.silenced:
            _fail(turn, domain, tuple(sorted(nodes)))
    turn.silenced.clear()


def _together(turn: Turn) -> dict[Domain, set[str]]:
    """Give the nodes that fell silent in this turn or shortly before, by what they share, with those of its outage."""
    state, since = turn.state, turn.now - turn.limits.unreachable_after_s - turn.limits.settle_s
    together: dict[Domain, set[str]] = {}
    for node in state.silent:
        if state.nodes[node].heard_at >= since:
            for domain in state.domains.get(node, ()):
                together.setdefault(domain, set()).add(node)
    for domain, outage in state.outages.items():
        if domain in together and outage.last_at >= since:
            together[domain].update(outage.nodes)
    return together


def _fail(turn: Turn, domain: Domain, nodes: tuple[str, ...]) -> None:
    (kind, name), heard = domain, [turn.state.nodes[node].heard_at for node in nodes]
    deadline = turn.now + turn.limits.settle_s
    turn.emit(
        ev.DomainFailed(kind=kind, name=name, nodes=nodes, began_at=min(heard), last_at=max(heard), deadline=deadline)
    )


def due(turn: Turn, domain: Domain) -> None:
    """No more nodes of a domain fell silent: let those that waited go on; later, use what is left of it again."""
    (kind, name), outage = domain, turn.state.outages[domain]
    if outage.settled:
        turn.emit(ev.DomainCleared(kind=kind, name=name))
        return
    turn.emit(ev.DomainSettled(kind=kind, name=name, deadline=turn.now + turn.limits.domain_avoid_s))
    for node in outage.nodes:
        for key in sorted(turn.state.node_gangs.get(node, ())):
            turn.touch(key)


def unsettled(state: State, gangs: list[GangRecord]) -> str:
    """Name the domain of which more nodes may be about to fall silent, if some did that `gangs` had; "" if none."""
    for (kind, name), outage in sorted(state.outages.items()):
        if not outage.settled and any(node in outage.nodes for gang in gangs for node in gang.nodes):
            return f"{kind} {name}"
    return ""


def avoided(state: State) -> tuple[str, ...]:
    """Name what is left of the domains that failed lately and of which half or more is silent."""
    return tuple(sorted({node for _, left in _left(state) for node in left}))


def why_avoided(state: State) -> str:
    """Say which nodes are not used for now since they share something with silent ones, as the end of a sentence."""
    return "".join(
        f"; {ranges(left)} not used for now, as half or more of {kind} {name} is silent"
        for (kind, name), left in _left(state)
        if left
    )


def _left(state: State) -> Iterator[tuple[Domain, tuple[str, ...]]]:
    for domain in sorted(state.outages):
        members = state.in_domain.get(domain, set()) & state.nodes.keys()
        well = members - state.silent
        if 2 * len(well) <= len(members):
            yield domain, tuple(sorted(well))


def took(state: State, node: str) -> bool:
    """Whether a node fell silent together with others of a domain: then it is hardly its own fault."""
    return any(node in outage.nodes for outage in state.outages.values())


def behind(state: State, gangs: list[GangRecord], cause: Cause | None) -> tuple[Domain, OutageRecord] | None:
    """Give what the nodes that `gangs` lost have in common, if losing one of them is the cause."""
    if cause is None or cause.kind is not CauseKind.NODE_LOST:
        return None
    nodes = {node for gang in gangs for node in gang.nodes}
    hit = [
        (len(nodes.intersection(outage.nodes)), domain)
        for domain, outage in state.outages.items()
        if cause.node in outage.nodes
    ]
    return (domain := max(hit)[1], state.outages[domain]) if hit else None


def told(domain: Domain, outage: OutageRecord, gangs: list[GangRecord]) -> Cause:
    """Name an outage as the cause of a job's fault."""
    kind, name = domain
    mine = sum(node in outage.nodes for gang in gangs for node in gang.nodes)
    within_s = max(1, round(outage.last_at - outage.began_at))
    fell = f"{len(outage.nodes)} nodes of {kind} {name} fell silent within {within_s} s ({ranges(outage.nodes)})"
    under = ", ".join(str(gang.key) for gang in gangs)
    return Cause(kind=CauseKind.NODE_LOST, rule="domain.lost", sentence=f"{fell}, {mine} of them under {under}")


def ranges(nodes: tuple[str, ...]) -> str:
    """Name nodes by runs of their numbers: `n17-n24, n30`."""
    split = []
    for node in nodes:
        prefix, digits = re.fullmatch(r"(.*?)(\d*)", node, re.DOTALL).groups()  # type: ignore[union-attr] # fits any name
        split.append((prefix, len(digits) if digits.startswith("0") else 0, int(digits or -1), node))
    runs = []
    for _, run in groupby(enumerate(sorted(split)), lambda each: (each[1][0], each[1][1], each[1][2] - each[0])):
        names = [node for _, (_, _, _, node) in run]
        runs.append(names[0] if len(names) == 1 else f"{names[0]}-{names[-1]}")
    return ", ".join(runs)
