"""Node checks: what a node is to check, and what it found."""

from dataclasses import replace

from dlroverd.core import norms
from dlroverd.core.records import CheckupRecord
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.checkup import CheckLevel, CheckResult, Checkup, CheckupRun

# What `node show` has; all of it is in the log.
_RUNS_KEPT = 8


def checkup_asked(s: State, e: ev.CheckupAsked) -> None:
    known = s.checkups.get(e.node) or CheckupRecord()
    asked = replace(
        known,
        checkup=e.checkup,
        cause=e.cause,
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
        kept = [each for each in known.results if each.check not in named and _stands(each, run, made.meeting is None)]
        results = (*kept, *results)
    ended = replace(
        known,
        checkup=None,
        deadline=e.next_at,
        results=results or known.results,
        runs=(*known.runs, run)[-_RUNS_KEPT:],
    )
    s.put(s.checkups, e.node, ended)
    like = norms.likeness(s.nodes[e.node].facts)
    for figure in (each for result in e.results for each in result.figures if each.worse):
        usual = norms.learnt(s.norms.get((like, figure.name), ()), e.node, figure.value)
        s.put(s.norms, (like, figure.name), usual)


def checkup_put_off(s: State, e: ev.CheckupPutOff) -> None:
    s.put(s.checkups, e.node, replace(s.checkups[e.node], deadline=e.next_at))


def _stands(result: CheckResult, run: CheckupRun, whole: bool) -> bool:
    """Whether what a check found that is not among those of a new checkup counts on: that looked less deep."""
    return not whole or (result.level is CheckLevel.LIGHT and run.level is CheckLevel.INSTANT)
