"""Room for a job of higher priority: running ones of lower priority are asked to make it, gently and not too often."""

from dlroverd.core.passes import planned, requests
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.job import JobState
from dlroverd.model.limits import Limits
from dlroverd.model.placement import Preempt, RunningJob
from dlroverd.model.plan import PlanKind

_WAITS = frozenset({JobState.QUEUED, JobState.PLACING})
_RUNS = frozenset({JobState.STARTING, JobState.RUNNING, JobState.RESTARTING})


def candidates(state: State, limits: Limits, job: JobRecord) -> tuple[RunningJob, ...]:
    """The running jobs of lower priority. Protected: those that made room lately; all, if it was made for `job` lately.

    The last keeps a job that crashes again and again from driving out one job after another.
    """
    if not limits.preemption:
        return ()
    now, pause_s = state.m.now, limits.preempt_cooldown_s
    had_lately = bool(job.made_room_at) and job.made_room_at + pause_s > now and not job.victims
    lower = []
    for number in sorted(state.job_slots):
        record = state.jobs[number]
        if record.spec.priority >= job.spec.priority or record.state not in _RUNS:
            continue
        made_lately = bool(record.preempted_at) and record.preempted_at + pause_s > now
        plan = record.plan
        lower.append(
            RunningJob(
                job=number,
                priority=record.spec.priority,
                since=record.since,
                slots=_held(state, number),
                leaving=plan is not None and plan.kind is not PlanKind.GROW,
                protected=had_lately or made_lately,
            )
        )
    return tuple(lower)


def _held(state: State, job: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        (node, grant.slots)
        for gang in state.gangs_of(job)
        for node in gang.nodes
        if (grant := state.grants.get((node, gang.key))) is not None
    )


def next_chance(state: State, limits: Limits, job: JobRecord) -> float | None:
    """When a job that is protected now may be asked to make room for `job`; None if there is none."""
    lower = [each for each in candidates(state, limits, job) if each.protected]
    if not lower:
        return None
    made = [state.jobs[each.job].preempted_at for each in lower] + [job.made_room_at]
    return min(at for at in (at + limits.preempt_cooldown_s for at in made) if at > state.m.now)


def wrong(state: State, limits: Limits, job: JobRecord, answer: Preempt) -> str:
    """Say why these jobs may not be stopped for `job`; "" if they may."""
    allowed = {each.job for each in candidates(state, limits, job) if not each.protected and not each.leaving}
    if not answer.jobs:
        return "it has no job stopped, and places none"
    for number in answer.jobs:
        if number not in allowed:
            return f"it has job {number} stopped for job {job.id}, which may not be"
    return ""


def carry_out(turn: Turn, job: JobRecord, answer: Preempt) -> str:
    """Have jobs make room; the sentence why `job` waits meanwhile."""
    reason = f"makes room for job {job.id}, which has priority {job.spec.priority}"
    turn.emit(ev.RoomAsked(job=job.id, victims=tuple(sorted({*job.victims, *answer.jobs}))))
    for number in answer.jobs:
        planned.order(turn, number, PlanKind.PREEMPT, reason, wait_s=turn.limits.checkpoint_wait_s)
    plans = [plan for number in answer.jobs if (plan := turn.state.jobs[number].plan) is not None]
    latest_s = max((plan.by + plan.grace_s for plan in plans), default=turn.now) - turn.now
    names = ", ".join(str(number) for number in answer.jobs)
    jobs = f"job{'s' if len(answer.jobs) > 1 else ''} {names}"
    return f"waits for {jobs} of lower priority to make room, which takes {latest_s:g} s at most"


def settle(turn: Turn) -> None:
    """Let jobs go on that were to make room for one that waits no more."""
    for number in sorted(turn.state.preempting):
        record = turn.state.jobs[number]
        if record.state in _WAITS and requests.homeless(turn.state, number):
            continue
        for victim in record.victims:
            if victim in turn.state.jobs:
                planned.call_off(turn, victim, PlanKind.PREEMPT, f"job {number} needs no room any more")
        turn.emit(ev.RoomAsked(job=number, victims=()))
