"""Checkups: when a node's checks are run, what their figures say beside those of like nodes, and what follows.

A checkup is asked for by desired state and ends by the node's word, or at its deadline as unknown; what is unknown
condemns nobody. A node that does not pass goes out of use as far as automation's brakes allow, and is put back by the
checkup that it passes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from zlib import crc32

from dlroverd.core import brakes, norms, out_of_use, pairing
from dlroverd.core.passes import holds, matches, reputation
from dlroverd.core.records import CheckupRecord, NodeRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.checkup import (
    COLLECTIVE,
    CheckLevel,
    CheckResult,
    CheckState,
    Checkup,
    CheckupCause,
    CheckupSeen,
    summary,
    worst,
)
from dlroverd.model.hold import AUTOMATION, Hold, HoldKind
from dlroverd.model.node import NodeState
from dlroverd.model.reputation import AutomationStage

# A figure that stands out is measured once more, so soon, before it counts.
_AGAIN_S = 60.0
# A restart takes seconds, in which it has the host to itself.
_AFTER_FAILURE_S = 30.0
_NEW = "it is new here, and its first checks are not over"


def possible(node: NodeRecord) -> bool:
    """Whether a node can be asked to run checks."""
    return node.state is NodeState.READY and node.facts.makes_checkups


def ask(
    turn: Turn,
    nodes: Sequence[str],
    level: CheckLevel,
    cause: CheckupCause,
    *,
    job: int = 0,
    actor: str = AUTOMATION,
    request_id: str = "",
) -> int:
    """Have nodes make a checkup, in place of one they are about to make; its number, which is the same on each."""
    number = turn.state.m.next_checkup
    limits = turn.limits.checks
    waits_s = limits.instant_s if level is CheckLevel.INSTANT else limits.light_s
    for node in nodes:
        drop(turn, node, "another was asked for")
        turn.emit(
            ev.CheckupAsked(
                node=node,
                checkup=Checkup(id=number, level=level, job=job),
                cause=cause,
                deadline=turn.now + waits_s,
                actor=actor,
                request_id=request_id,
            )
        )
    if level is not CheckLevel.INSTANT and len(nodes) > 1:
        matches.begin(turn, number, tuple(nodes), cause=cause, actor=actor, job=job)
    return number


def joined(turn: Turn, node: str) -> None:
    """Have a node that came look at itself, and use it after that, if automation may and the others are enough."""
    known, limits = turn.state.checkups.get(node), turn.limits.automation
    if not possible(turn.state.nodes[node]) or (known is not None and known.checkup is not None):
        return
    ask(turn, [node], CheckLevel.INSTANT, CheckupCause.JOINED)
    acts = limits.quarantine is AutomationStage.ACT and not turn.state.m.automation.paused_by
    if acts and brakes.enough_without(turn.state, node, limits):
        hold = Hold(owner=AUTOMATION, kind=HoldKind.CORDON, reason=_NEW, since=turn.now)
        turn.emit(ev.NodeHeld(node=node, hold=hold, actor=AUTOMATION))


def after_failure(turn: Turn, node: str, *, again: bool) -> None:
    """Have a node on which a job failed look at itself; if the job is to start `again`, once it has had time for it."""
    known = turn.state.checkups.get(node)
    if known is not None and known.checkup is None and possible(turn.state.nodes[node]):
        at = turn.now + (_AFTER_FAILURE_S if again else 0.0)
        turn.emit(ev.CheckupPutOff(node=node, next_at=at, cause=CheckupCause.FAILURE))


def take(turn: Turn, node: str, seen: tuple[CheckupSeen, ...]) -> None:
    """Take what a node found, if it is asked for that."""
    known = turn.state.checkups.get(node)
    if known is None or known.checkup is None:
        return
    for each in seen:
        if each.id == known.checkup.id and known.checkup.meeting is not None:
            _end(turn, node, each.results, summary(each.results))
            return
        if each.id == known.checkup.id:
            results = tuple(_judged(turn, node, result, known) for result in each.results)
            _end(turn, node, results, summary(results) if results else "it has no checks of that level")
            return


def _judged(turn: Turn, node: str, result: CheckResult, known: CheckupRecord) -> CheckResult:
    """Hold a result's figures against those of like nodes; what stands out twice in a row is bad."""
    if result.state is not CheckState.OK:
        return result
    like = norms.likeness(turn.state.nodes[node].facts)
    before = {figure.name: figure for each in known.results if each.check == result.check for figure in each.figures}
    for figure in result.figures:
        usual = turn.state.norms.get((like, figure.name), ())
        sentence = norms.standing_out(usual, node, figure)
        if sentence:
            last = before.get(figure.name)
            again = last is not None and bool(norms.standing_out(usual, node, last))
            state = CheckState.BAD if again else CheckState.UNKNOWN
            return replace(result, state=state, sentence=sentence if again else f"{sentence}; it is measured again")
    return result


def drop(turn: Turn, node: str, reason: str) -> None:
    """Give up a node's open checkup for another one; what it would have found is not known."""
    known = turn.state.checkups.get(node)
    if known is not None and known.checkup is not None:
        _end(turn, node, (), reason, replaced=True)


def give_way(turn: Turn, nodes: Iterable[str], job: int) -> None:
    """A job was placed on nodes: what works them is given up, since it would slow the job and be slowed by it."""
    for node in nodes:
        known = turn.state.checkups.get(node)
        if known is not None and known.checkup is not None and known.checkup.level is not CheckLevel.INSTANT:
            _end(turn, node, (), f"job {job} was placed on it")


def due(turn: Turn, node: str) -> None:
    """An open checkup has not been heard of in time, or the next one is due."""
    known, record = turn.state.checkups[node], turn.state.nodes[node]
    if known.checkup is not None:
        _end(turn, node, (), f"node {node} has not told what it found within {turn.now - known.asked_at:.0f} s")
    elif possible(record) and known.next_cause is CheckupCause.FAILURE:
        ask(turn, [node], CheckLevel.INSTANT, CheckupCause.FAILURE)
    elif possible(record) and not turn.state.node_gangs.get(node):
        held = out_of_use.held_for_checks(turn.state, record)
        deep = any(each.level is CheckLevel.LIGHT and each.state is not CheckState.OK for each in known.results)
        level = CheckLevel.LIGHT if deep else CheckLevel.INSTANT
        ask(turn, [node, *_others(turn, node)], level, CheckupCause.HELD if held else CheckupCause.IDLE)
    elif next_at := _next_at(turn, node, ()):
        turn.emit(ev.CheckupPutOff(node=node, next_at=next_at))


def _others(turn: Turn, node: str) -> list[str]:
    """Name nodes that run nothing for one to meet, if it is said to be bad with others; else none."""
    known = turn.state.checkups[node]
    if not any(each.check == COLLECTIVE and each.state is CheckState.BAD for each in known.results):
        return []
    found: list[str] = []
    for name in sorted(turn.state.usable - {node}):
        record = turn.state.checkups.get(name)
        if possible(turn.state.nodes[name]) and name not in turn.state.node_gangs and record and not record.checkup:
            found.append(name)
        if len(found) == pairing.LEAST_NODES - 1:
            return found
    return []


def _end(turn: Turn, node: str, results: tuple[CheckResult, ...], reason: str, *, replaced: bool = False) -> None:
    known = turn.state.checkups[node]
    made = known.checkup
    if made is None:
        return
    turn.emit(
        ev.CheckupEnded(
            node=node,
            id=made.id,
            state=worst(results),
            results=results,
            reason=reason,
            next_at=_next_at(turn, node, results),
        )
    )
    told = [node] if results and made.meeting is None else []
    told += matches.go_on(turn, made.id if made.meeting is None else made.meeting.match)
    for each in told:
        reputation.looked_at(turn, each)
        _put_back(turn, each)
    if not replaced:  # last: a quarantine takes over without a moment between
        _let_in(turn, node)
    if made.job:
        for key in sorted(turn.state.node_gangs.get(node, ())):
            turn.touch(key)


def _let_in(turn: Turn, node: str) -> None:
    """The first checks of a node that came are over: it is used, unless what they found speaks against that."""
    if any((hold.owner, hold.kind) == (AUTOMATION, HoldKind.CORDON) for hold in turn.state.nodes[node].holds):
        reason = "its first checks are over"
        turn.emit(ev.NodeReleased(node=node, owner=AUTOMATION, kind=HoldKind.CORDON, actor=AUTOMATION, reason=reason))


def pending(turn: Turn, nodes: Iterable[str], job: int) -> bool:
    """Whether a job waits for the checks of its nodes."""
    open_ = [known.checkup for node in nodes if (known := turn.state.checkups.get(node)) is not None]
    return any(each is not None and each.job == job for each in open_) or any(
        match.job == job for match in turn.state.matches.values()
    )


def _next_at(turn: Turn, node: str, results: tuple[CheckResult, ...]) -> float:
    """Say when a node is checked next: spread by its name, so that a fleet that was started at once is not again."""
    limits = turn.limits.checks
    if any(each.figures and each.state is CheckState.UNKNOWN for each in results):
        return turn.now + _AGAIN_S
    bad = any(each.state is CheckState.BAD for each in results)
    if bad or out_of_use.held_for_checks(turn.state, turn.state.nodes[node]):
        return turn.now + limits.retry_s
    if not limits.interval_s:
        return 0.0
    return turn.now + limits.interval_s * (0.9 + 0.2 * (crc32(node.encode()) % 1000) / 1000)


def _put_back(turn: Turn, node: str) -> None:
    """A node has passed the checks for which automation holds it: it is used again."""
    record = turn.state.nodes[node]
    known = turn.state.checkups[node]
    if not out_of_use.held_for_checks(turn.state, record) or any(
        each.state is CheckState.BAD for each in known.results
    ):
        return
    turn.emit(
        ev.NodeReleased(
            node=node, owner=AUTOMATION, kind=HoldKind.QUARANTINE, actor=AUTOMATION, reason="it passes its checks"
        )
    )
    holds.let_go(turn, node, AUTOMATION)
