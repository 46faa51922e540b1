"""Node checks: what a node is to check, and what it found."""

from dataclasses import replace

from dlroverd.core import norms
from dlroverd.core.records import CheckupRecord, MatchRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.checkup import (
    COLLECTIVE,
    CheckLevel,
    CheckResult,
    Checkup,
    CheckupCause,
    CheckupRun,
    MatchRound,
    met,
)

# What `node show` has; all of it is in the log.
_RUNS_KEPT = 8


def checkup_asked(s: State, e: ev.CheckupAsked) -> None:
    known = s.checkups.get(e.node) or CheckupRecord()
    asked = replace(
        known,
        checkup=e.checkup,
        cause=e.cause,
        next_cause=CheckupCause.IDLE,
        actor=e.actor,
        request_id=e.request_id,
        asked_at=s.m.now,
        deadline=e.deadline,
    )
    s.put(s.checkups, e.node, asked)
    s.put(s.meta, "", replace(s.m, next_checkup=max(s.m.next_checkup, e.checkup.id + 1)))


def checkup_ended(s: State, e: ev.CheckupEnded) -> None:
    known = s.checkups[e.node]
    made = known.checkup or Checkup(id=e.id, level=CheckLevel.INSTANT)
    if made.meeting is not None:
        _met(s, made.meeting.match, e.node, met(e.results))
        s.put(s.checkups, e.node, replace(known, checkup=None, deadline=e.next_at))
        return
    run = CheckupRun(
        id=e.id,
        level=made.level,
        cause=known.cause,
        state=e.state,
        sentence=e.reason,
        at=s.m.now,
        actor=known.actor,
    )
    results = tuple(replace(each, at=s.m.now) for each in e.results)
    if results:
        named = {each.check for each in results}
        kept = [each for each in known.results if each.check not in named and _stands(each, run)]
        results = (*kept, *results)
    ended = replace(
        known,
        checkup=None,
        deadline=e.next_at,
        results=results or known.results,
        runs=(*known.runs, run)[-_RUNS_KEPT:],
    )
    s.put(s.checkups, e.node, ended)
    _learn(s, e.node, e.results)


def _learn(s: State, node: str, results: tuple[CheckResult, ...]) -> None:
    like = norms.likeness(s.nodes[node].facts)
    for figure in (each for result in results for each in result.figures if each.worse):
        usual = norms.learnt(s.norms.get((like, figure.name), ()), node, figure.value)
        s.put(s.norms, (like, figure.name), usual)


def checkup_put_off(s: State, e: ev.CheckupPutOff) -> None:
    s.put(s.checkups, e.node, replace(s.checkups[e.node], deadline=e.next_at, next_cause=e.cause))


def _stands(result: CheckResult, run: CheckupRun) -> bool:
    """Whether what a check found that is not among those of a new checkup counts on: that looked less deep."""
    deeper = result.level is CheckLevel.LIGHT and run.level is CheckLevel.INSTANT
    return deeper or result.check == COLLECTIVE


def match_began(s: State, e: ev.MatchBegan) -> None:
    s.put(s.matches, e.match, MatchRecord(nodes=e.nodes, cause=e.cause, actor=e.actor, job=e.job))
    s.put(s.meta, "", replace(s.m, next_checkup=max(s.m.next_checkup, e.match + 1)))


def match_round_began(s: State, e: ev.MatchRoundBegan) -> None:
    known = s.matches[e.match]
    s.put(s.matches, e.match, replace(known, rounds=(*known.rounds, MatchRound(groups=e.groups))))


def _met(s: State, match: int, node: str, seconds: float) -> None:
    known = s.matches.get(match)
    if known is None or not known.rounds:
        return
    last = known.rounds[-1]
    heard = replace(last, times={**last.times, node: seconds})
    s.put(s.matches, match, replace(known, rounds=(*known.rounds[:-1], heard)))


def match_ended(s: State, e: ev.MatchEnded) -> None:
    match = s.matches[e.match]
    for node, result in zip(e.nodes, e.results, strict=True):
        known = s.checkups[node]
        told = replace(result, at=s.m.now)
        run = CheckupRun(
            id=e.match,
            level=result.level,
            cause=match.cause,
            state=result.state,
            sentence=f"{result.check}: {result.sentence}",
            at=s.m.now,
            actor=match.actor,
        )
        others = tuple(each for each in known.results if each.check != result.check)
        kept = replace(known, results=(*others, told), runs=(*known.runs, run)[-_RUNS_KEPT:])
        s.put(s.checkups, node, kept)
        _learn(s, node, (told,))
    s.put(s.matches, e.match, None)
