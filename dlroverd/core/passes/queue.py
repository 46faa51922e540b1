"""Who is next: by priority, then in the order of submission; whom a quota or a back-off holds is passed over."""

from collections.abc import Iterator

from dlroverd.core import out_of_use
from dlroverd.core.passes import quotas, requests
from dlroverd.core.records import JobRecord
from dlroverd.core.state import State
from dlroverd.model.limits import Limits

# A scheduler that wants to look behind the head of the queue sees so many.
_SHOWN = 100


def eligible(state: State, limits: Limits) -> Iterator[JobRecord]:
    """The jobs that could be placed now if there were room, the first one first."""
    for job in state.queue():
        record = state.jobs[job]
        if not held_back(state, limits, record):
            yield record


def held_back(state: State, limits: Limits, job: JobRecord) -> str:
    """Say why a waiting job is passed over, whatever is free; "" if it is not."""
    if job.not_before > state.m.now:
        return job.reason
    if not limits.quotas:
        return ""
    need = sum(gang.fewest * gang.slots_per_node for gang in requests.gangs(state, job))
    return quotas.over(state, limits.quotas, job.id, need)


def behind(state: State, limits: Limits, job: int) -> tuple[int, ...]:
    """The jobs next in line after `job`, as many as a scheduler is shown."""
    following = []
    for record in eligible(state, limits):
        if record.id != job:
            following.append(record.id)
        if len(following) == _SHOWN:
            break
    return tuple(following)


def why(state: State, limits: Limits, job: int) -> str:
    """Say why a queued job waits, as of now."""
    record = state.jobs[job]
    if held := held_back(state, limits, record):
        return held
    first = state.jobs[min(state.placing)] if state.placing else next(eligible(state, limits), record)
    if _order(first) >= _order(record):
        return record.reason + out_of_use.unused(state)
    above = (
        f"has priority {first.spec.priority}" if first.spec.priority > record.spec.priority else "was submitted earlier"
    )
    return f"waits behind job {first.id}, which {above} and {first.reason}"


def _order(job: JobRecord) -> tuple[int, int]:
    return -job.spec.priority, job.id
