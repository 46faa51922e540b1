"""A log that goes on from an older copy: what runs is heard from the nodes, and until then nothing is begun anew.

The copy says what was wanted an hour ago. Since then worlds were formed, jobs submitted and ended that it knows nothing
of. So no job of it is believed to run, or to wait, until a node says so; the numbers of jobs and rounds go on above
whatever was given meanwhile; and nobody resumes a job while a node may run it of which nothing was heard yet.
"""

from dlroverd.core.passes import incidents
from dlroverd.core.state import State
from dlroverd.core.turn import Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.job import JobState
from dlroverd.model.node import NodeState
from dlroverd.model.restored import Restored

# More than a fleet submits, and than a gang forms, between two backups; times each log that this one takes over from,
# as a copy may be restored again, over a log that it was restored to before.
_JOBS_APART = 10_000
_ROUNDS_APART = 1_000
_NAMED = 3


def take(turn: Turn, item: inp.StateRestored) -> Outcome:
    """Forget what the copy says of what runs; told again, at each start of the daemon, it changes nothing."""
    state = turn.state
    if set(item.ancestors) <= set(state.m.ancestors):
        return Done()
    ancestors = tuple(dict.fromkeys((*state.m.ancestors, *item.ancestors)))
    next_job = state.m.next_job + _JOBS_APART * len(ancestors)
    turn.emit(ev.LogRestored(ancestors=ancestors, taken_at=item.taken_at, next_job=next_job))
    for name in sorted(state.nodes):
        if state.nodes[name].state is not NodeState.FOREIGN:
            reason = "the log was restored; what it runs is asked of its agent"
            turn.emit(ev.NodeMoved(node=name, on="foreign_log", to=NodeState.FOREIGN, reason=reason))
    for job in sorted(state.unfinished):
        _doubt(turn, job, item.taken_at, _ROUNDS_APART * len(ancestors))
    return Done()


def _doubt(turn: Turn, job: int, taken_at: float, rounds: int) -> None:
    incidents.closed(turn, job)
    turn.emit(ev.JobUnconfirmed(job=job, rounds=rounds))
    state = turn.state.jobs[job].state
    if state is JobState.STOPPING:
        turn.touched_jobs.add(job)  # it was to end, and nothing of it is waited for any more
        return
    reason = (
        f"the log was restored from a copy {(turn.now - taken_at) / 60:.0f} min old, and no node is known to run it: "
        f"if it has not ended since, `dlroverctl job resume {job}`, else `dlroverctl job cancel {job}`"
    )
    deadline = turn.now + turn.limits.review_s
    if state is JobState.SUSPENDED:
        turn.emit(ev.JobReasonChanged(job=job, reason=reason, deadline=deadline))
    else:
        turn.emit(ev.JobMoved(job=job, on="restored", to=JobState.SUSPENDED, reason=reason, deadline=deadline))


def found(turn: Turn, job: int, node: str) -> None:
    """A node runs a part of a job that was not known to run: it does."""
    turn.emit(ev.JobFound(job=job, node=node))
    reason = f"found running on {node} after the log was restored"
    deadline = turn.now + turn.limits.review_s
    turn.emit(ev.JobMoved(job=job, on="found", to=JobState.RUNNING, reason=reason, deadline=deadline))


def may_still_run(state: State, job: int) -> Refused | None:
    """Refuse to begin a job anew while a node that was not heard of since the log was restored may run it."""
    unheard = [name for name in sorted(state.nodes) if state.nodes[name].unheard]
    if state.jobs[job].restored is not Restored.UNCONFIRMED or not unheard:
        return None
    more = f" and {len(unheard) - _NAMED} more" if len(unheard) > _NAMED else ""
    return Refused(
        "unconfirmed",
        f"Job {job} may still run on {', '.join(unheard[:_NAMED])}{more}: nothing was heard from there since the log "
        f"was restored. Start the agent there, or say that the host is down (`dlroverctl node confirm-down "
        f"{unheard[0]}`).",
    )
