"""Matches: nodes that meet each other in groups, round after round, until it is known who of them is bad.

Each meeting is a checkup of each of its nodes, so it is asked for, told and given up as any other. A node of which
nothing is heard takes no blame, and lays none on those that it was to meet.
"""

from statistics import median_low

from dlroverd.core import pairing
from dlroverd.core.pairing import Group, Judgement
from dlroverd.core.records import MatchRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.checkup import (
    COLLECTIVE,
    MET_SECONDS,
    CheckLevel,
    CheckResult,
    CheckState,
    Checkup,
    CheckupCause,
    Figure,
    Meeting,
)
from dlroverd.model.node import NodeState

# The ports of meetings are the last of a node's, which jobs come to last.
_PORTS = 64


def begin(turn: Turn, match: int, nodes: tuple[str, ...], *, cause: CheckupCause, actor: str, job: int) -> None:
    """Have nodes that make checkup `match` meet after it."""
    turn.emit(ev.MatchBegan(match=match, nodes=nodes, cause=cause, actor=actor, job=job))


def go_on(turn: Turn, match: int) -> tuple[str, ...]:
    """Begin the next round once all of the last were heard; give the nodes of which something is known by its end."""
    known = turn.state.matches.get(match)
    if known is None or any(_open(turn, node, match) for node in known.nodes):
        return ()
    while True:
        groups = pairing.next_groups(known.nodes, known.rounds)
        if not groups:
            return _conclude(turn, match, known)
        turn.emit(ev.MatchRoundBegan(match=match, groups=groups))
        known = turn.state.matches[match]
        met = [_meet(turn, match, known, place, group) for place, group in enumerate(groups)]
        if any(met):
            return ()


def _open(turn: Turn, node: str, match: int) -> bool:
    known = turn.state.checkups.get(node)
    made = known.checkup if known is not None else None
    return made is not None and match == (made.id if made.meeting is None else made.meeting.match)


def _meet(turn: Turn, match: int, known: MatchRecord, place: int, group: Group) -> bool:
    """Have a group meet, unless one of it cannot be had now."""
    state = turn.state
    for node in group:
        record, checked = state.nodes[node], state.checkups[node]
        busy = not known.job and bool(state.node_gangs.get(node))
        if record.state is not NodeState.READY or checked.checkup is not None or busy:
            return False
    first = state.nodes[group[0]].facts
    number = state.m.next_checkup
    for rank, node in enumerate(group):
        meeting = Meeting(
            match=match,
            address=first.address or "127.0.0.1",
            port=first.port_high - (number + place) % min(_PORTS, first.port_high - first.port_low + 1),
            rank=rank,
            size=len(group),
            nodes=group,
        )
        turn.emit(
            ev.CheckupAsked(
                node=node,
                checkup=Checkup(id=number, level=CheckLevel.LIGHT, job=known.job, meeting=meeting),
                cause=known.cause,
                deadline=turn.now + turn.limits.checks.light_s,
                actor=known.actor,
            )
        )
    return True


def _conclude(turn: Turn, match: int, known: MatchRecord) -> tuple[str, ...]:
    found = pairing.judge(known.nodes, known.rounds)
    results = tuple(_result(node, known, found) for node in known.nodes)
    parts = (("bad", found.bad), ("slow", found.slow), ("not known", found.unknown))
    said = [f"{word}: {', '.join(nodes)}" for word, nodes in parts if nodes]
    said += [f"no path between {' and '.join(group)}" for group in found.links]
    said += [f"a slow path between {' and '.join(group)}" for group in found.slow_links]
    reason = "; ".join(said) or f"all {len(known.nodes)} nodes work with each other"
    turn.emit(ev.MatchEnded(match=match, nodes=known.nodes, results=results, reason=reason))
    return known.nodes


def _result(node: str, known: MatchRecord, found: Judgement) -> CheckResult:
    """Say of one node what all rounds do."""
    times = {name: [each.times[name] for each in known.rounds if each.times.get(name, 0.0) > 0] for name in known.nodes}
    best = {name: min(took) for name, took in times.items() if took}
    usual = median_low(best.values()) if best else 0.0
    state = CheckState.UNKNOWN
    figures: tuple[Figure, ...] = ()
    link = next((group for group in (*found.links, *found.slow_links) if node in group), ())
    others = ", ".join(sorted({*link} - {node}))
    if node in found.bad:
        state, sentence = CheckState.BAD, "it fails with each node that it meets, and those work with others"
    elif node in found.slow:
        state = CheckState.BAD
        sentence = f"it takes {best[node]:.2f} s or more with whomever it meets, where {usual:.2f} s is usual"
    elif link in found.links and link:
        sentence = f"it does not work with {others}, and both work with others: see the path between them"
    elif link:
        sentence = f"it is slow with {others}, and both are not with others: see the path between them"
    elif node in found.unknown and len(known.nodes) < pairing.LEAST_NODES:
        sentence = (
            f"with {len(known.nodes)} nodes it cannot be told who is to blame: check {pairing.LEAST_NODES} or more"
        )
    elif node in found.unknown:
        sentence = "it was not heard, or met nobody who works with others"
    else:
        state, sentence = CheckState.OK, f"it works with those it met, in {best[node]:.2f} s"
        figures = (Figure(name=MET_SECONDS, value=best[node], worse=""),)
    return CheckResult(check=COLLECTIVE, level=CheckLevel.LIGHT, state=state, sentence=sentence, figures=figures)
