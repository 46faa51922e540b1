"""The verdict on a root cause: who pays for the restart, where it is and when, or that there is none."""

from dataclasses import dataclass, replace

from dlroverd.core.classify.blame import CHECK_OF_NODE
from dlroverd.core.passes import elastic, user_policy
from dlroverd.core.passes.courses import Course, History, course
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Turn
from dlroverd.model.fault import Cause, Incident
from dlroverd.model.job import FailureRule, FailureVerdict

_FREE = ", at no cost to the job"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows. `action` says it for people.

    `end`: the job fails; `gave_up`: since its budget is used up. `pays`: the budget pays. `avoid` is a node that it
    leaves; `whole`: all its gangs restart. `wait_s` is how long the restart waits, and `waiting` says so. `best_step`
    is the furthest that the job ever got, `fruitless` how many worlds in a row got no further.
    """

    action: str
    end: bool = False
    gave_up: bool = False
    pays: bool = False
    avoid: str = ""
    whole: bool = False
    wait_s: float = 0.0
    waiting: str = ""
    best_step: int = -1
    fruitless: int = 0


def judge(turn: Turn, job: JobRecord, incident: Incident, cause: Cause, reached: int) -> Verdict:
    """Say what follows a root cause. `reached` is the furthest step of the world that failed, -1 if none was seen."""
    if incident.drill:
        return Verdict(f"restart{_FREE}", best_step=job.best_step, fruitless=job.fruitless)
    history = History.of(turn.state, job.id, incident, cause, reached)
    follows, ruled = course(cause.kind), user_policy.rule_for(job.spec, cause)
    best_step = max(job.best_step, reached)
    # A job whose steps were never seen may have got on all the same.
    stuck = 0 <= best_step == job.best_step
    fruitless = job.fruitless + (stuck and not follows.idle) if reached <= job.best_step else 0
    verdict = (
        _by_rule(*ruled, turn.state, job, cause)
        if ruled is not None
        else _hopeless(job, follows, history) or _restart(turn, job, follows, history)
    )
    limit = job.spec.no_progress_restarts
    if not verdict.end and limit and fruitless >= limit:
        why = f"{fruitless} restarts in a row got no further than step {best_step}, and no_progress_restarts is {limit}"
        verdict = Verdict(f"failed: {cause.sentence}; {why}", end=True, gave_up=True)
    return replace(_delayed(verdict, follows, history), best_step=best_step, fruitless=fruitless)


def _by_rule(number: int, rule: FailureRule, state: State, job: JobRecord, cause: Cause) -> Verdict:
    """Do as the user's own rule says; only the budget still counts."""
    by = f"by on_failure rule {number}"
    if rule.verdict is FailureVerdict.ABORT:
        return Verdict(f"failed: {cause.sentence}; {by}", end=True)
    paid = Verdict(f"restart{_FREE}") if rule.free else _paid(state, job, cause)
    if paid.end:
        return paid
    if rule.verdict is FailureVerdict.NODE and cause.node:
        return replace(paid, action=f"{paid.action}, on other nodes than {cause.node} {by}", avoid=cause.node)
    if rule.verdict is FailureVerdict.JOB:
        return replace(paid, action=f"{paid.action}, of the whole job {by}", whole=True)
    return replace(paid, action=f"{paid.action}, {by}")


def _hopeless(job: JobRecord, follows: Course, history: History) -> Verdict | None:
    """Say why another start would fail too, if it is known to."""
    sentence = f"failed: {history.cause.sentence}"
    if follows.hopeless:
        return Verdict(f"{sentence}; starting it again can not help", end=True)
    if follows.told and not job.started_at and history.cause.rule != CHECK_OF_NODE:
        return Verdict(sentence, end=True)
    if history.again(once=follows.once):
        return Verdict(f"{sentence}; the same at the last start, so it would again", end=True)
    return None


def _restart(turn: Turn, job: JobRecord, follows: Course, history: History) -> Verdict:
    cause = history.cause
    if follows.unfit:
        return Verdict(f"other nodes than {cause.node}{_FREE}", avoid=cause.node)
    if history.same_kind() < follows.free:
        verdict = Verdict(f"restart{follows.how}{_FREE}")
    else:
        verdict = _paid(turn.state, job, cause)
    if verdict.end:
        return verdict
    strikes = history.strikes()
    if strikes >= follows.strikes and _room_elsewhere(turn, cause):
        times = f"{strikes} faults there within {job.spec.restart_window_s:g} s" if strikes > 1 else "it is suspect"
        verdict = replace(
            verdict, action=f"{verdict.action}, on other nodes than {cause.node}: {times}", avoid=cause.node
        )
    return verdict


def _delayed(verdict: Verdict, follows: Course, history: History) -> Verdict:
    """Have a restart wait where it would fail again at once."""
    wait_s = history.wait_s()
    if verdict.end or verdict.avoid or not wait_s:
        return verdict
    because = "until there is room" if follows.first_wait_s else f"crash loop, {history.loop() + 1} alike in a row"
    waiting = f"waits {wait_s:g} s before {verdict.action} ({because}): {history.cause.sentence}"
    return replace(verdict, action=f"{verdict.action}, after {wait_s:g} s", wait_s=wait_s, waiting=waiting)


def _paid(state: State, job: JobRecord, cause: Cause) -> Verdict:
    """Have the job's budget pay, or give up."""
    budget, window_s = job.spec.max_restarts, job.spec.restart_window_s
    spent = sum(1 for at in job.spent if at > state.m.now - window_s)
    if spent < budget:
        return Verdict(f"restart {spent + 1} of {budget}", pays=True)
    sentence = f"failed: {cause.sentence}"
    if budget:
        sentence += f"; gave up: {spent} restarts in {window_s:g} s, and max_restarts is {budget}"
    return Verdict(sentence, end=True, gave_up=budget > 0)


def _room_elsewhere(turn: Turn, cause: Cause) -> bool:
    """Whether a node is free that could take the place of the suspect one; a spare of the job's own is."""
    if cause.rank is None:
        return False
    key = cause.rank.gang_key
    if turn.state.gang_spares.get(key):
        return True
    return bool(elastic.find(turn, turn.state.gangs[key], 1, 1, unit=1))
