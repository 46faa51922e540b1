"""Requests about jobs, and the first steps of their worlds."""

from dataclasses import replace

from dlroverd.core import reasons
from dlroverd.core.passes import faults, finish, incidents, quotas, requests
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Done, Outcome, Refused, Turn
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.constraints import mistake
from dlroverd.model.explain import never
from dlroverd.model.fault import Cause, CauseKind
from dlroverd.model.job import JobSpec, JobState
from dlroverd.model.limits import Limits

JobRequest = inp.Cancel | inp.Restart | inp.Suspend | inp.Resume | inp.Scale


def submit(turn: Turn, item: inp.Submit) -> Outcome:
    """Accept a job, or refuse it with a sentence; a request id seen before gives its job again."""
    state = turn.state
    known = state.requests.get(item.request_id)
    if known is not None:
        return Done(known)
    refused = refusal(state, turn.limits, item.spec)
    if refused is not None:
        return refused
    job = state.m.next_job
    # Scripts keep checkpoints under the run id: it must be no other job's, not even of another daemon, and must
    # outlive an adoption, so it is made of the log's id once and stored.
    run_id = item.spec.run_id or f"{state.log_id[:8]}-{job}"
    turn.emit(
        ev.JobSubmitted(
            job=job,
            request_id=item.request_id,
            spec=replace(item.spec, run_id=run_id),
            reason="waits for its turn",
            deadline=turn.now + item.spec.queue_timeout_s,
        )
    )
    turn.touched_jobs.add(job)
    return Done(job)


def refusal(state: State, limits: Limits, spec: JobSpec) -> Refused | None:
    """Say why a job is not taken, now or ever; None if it is."""
    if state.m.storage_low:
        return Refused(
            "storage_low",
            "The daemon's disk is full, so no new job is taken (running ones go on); "
            "free space in its state directory and submit again.",
        )
    if spec.user.uid == 0 and not limits.root_jobs:
        return Refused(
            "root",
            "Jobs of root are not taken: a rank that is root owns its node. Submit it as another user; an "
            "administrator may allow it all the same (allow_root in the daemon's configuration).",
        )
    if len(state.unfinished) >= limits.max_jobs:
        return Refused(
            "too_many_jobs",
            f"{len(state.unfinished)} jobs have not ended; max_jobs is {limits.max_jobs}; wait for some to end.",
        )
    shortest_s = limits.unreachable_after_s
    for role in spec.roles:
        if 0 < role.lease_s <= shortest_s:
            return Refused(
                "lease_too_short",
                f"Role {role.name} has a lease of {role.lease_s:g} s, and a node may be silent for {shortest_s:g} s "
                "before anyone minds (unreachable_after): use a longer lease.",
            )
    if sentence := mistake(text for role in spec.roles for text in role.require):
        return Refused("invalid", f"The job asks for what cannot be: {sentence}.")
    if sentence := quotas.never(limits.quotas, spec):
        return Refused("over_quota", sentence)
    if sentence := never_fits(state, spec):
        return Refused("never_fits", sentence)
    return None


def never_fits(state: State, spec: JobSpec) -> str:
    """Say why a job could not run even on an empty fleet; "" if it could, or if no node is known yet."""
    if not state.nodes:
        return ""
    sizes = state.sizes
    total, total_needed = sum(size * count for size, count in sizes.items()), 0
    for role in spec.roles:
        total_needed += role.gangs * role.nodes_min * role.nproc_per_node
        wide = sum(count for size, count in sizes.items() if size >= role.nproc_per_node)
        if wide < role.nodes_min:
            return (
                f"Role {role.name} asks for {role.nodes_min} node(s) with {role.nproc_per_node} slot(s) each; "
                f"the fleet has {reasons.fleet_sizes(sizes)}. Ask for less (--nnodes, --nproc-per-node) or add nodes."
            )
    if total_needed > total:
        return (
            f"The job asks for {total_needed} ranks; the fleet has {total} slots "
            f"({reasons.fleet_sizes(sizes)}). Ask for less (--nnodes, --nproc-per-node) or add nodes."
        )
    if sentence := never(state.free, requests.of_spec(state, spec)):
        return f"No such nodes: the job {sentence}. Change what it asks of nodes, or add or label some."
    return ""


def answered(state: State, item: JobRequest) -> Outcome | None:
    """Answer a request that was carried out before, or is about a job that is not there or has ended; else None."""
    if item.request_id in state.requests:
        return Done(state.requests[item.request_id])
    job = state.jobs.get(item.job)
    if job is None:
        return Refused("not_found", f"There is no job {item.job}; see `dlroverctl job list`.")
    if job.state.final:
        ended = "been cancelled" if job.state is JobState.CANCELLED else job.state
        return Refused("already_ended", f"Job {item.job} has already {ended}; submit it again to run it again.")
    return None


def cancel(turn: Turn, item: inp.Cancel) -> Outcome:
    """End a job: at once if nothing of it runs, else once all of it is gone."""
    if (outcome := answered(turn.state, item)) is not None:
        return outcome
    turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
    job = turn.state.jobs[item.job]
    if job.state is not JobState.STOPPING or job.outcome is not JobState.CANCELLED:
        finish.end(turn, item.job, JobState.CANCELLED, f"cancelled by {item.actor}")
    return Done(item.job)


def restart(turn: Turn, item: inp.Restart) -> Outcome:
    """Give a running job a new round, at nobody's cost; one that waits for its restart need not wait any longer."""
    if (outcome := answered(turn.state, item)) is not None:
        return outcome
    live = [gang for gang in turn.state.gangs_of(item.job) if gang.state in LIVE_GANG]
    state, not_before = turn.state.jobs[item.job].state, turn.state.jobs[item.job].not_before
    if state is JobState.RESTARTING and not_before > turn.now:
        turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
        turn.emit(ev.RestartDelayed(job=item.job, until=turn.now, reason=f"restart asked for by {item.actor}"))
        turn.touched_jobs.add(item.job)
        return Done(item.job)
    if state is JobState.STOPPING or not live:
        return Refused("not_running", f"Job {item.job} is {state}, so there is nothing to restart.")
    turn.emit(ev.RequestTaken(job=item.job, request_id=item.request_id, actor=item.actor))
    cause = Cause(kind=CauseKind.REQUESTED, rule="operator", sentence=f"restart asked for by {item.actor}")
    for gang in live:
        faults.fail_gang(turn, gang.key, turn.now, cause)
    return Done(item.job)


def stepped(turn: Turn, item: inp.GangStepped) -> Outcome:
    """Note a world's first training step, and when it has caught up; what an older world did no longer counts."""
    gang = turn.state.gangs.get(item.gang)
    progress = item.progress
    at = min(progress.at, turn.now)
    if gang is None or gang.round != progress.round.round or gang.state not in LIVE_GANG:
        return Done()
    if gang.step < 0:
        turn.emit(ev.StepSeen(round=progress.round, step=progress.step, at=at))
        incidents.stepped(turn, item.gang, progress.step, at)
    elif 0 <= gang.redo_to <= progress.step:
        turn.emit(ev.WorldCaughtUp(round=progress.round, step=progress.step, at=at))
    else:
        return Done()
    if turn.state.gangs[item.gang].redo_to < 0:
        incidents.caught_up(turn, item.gang, at)
    return Done()


def storage(turn: Turn, item: inp.StorageChanged) -> Outcome:
    """Remember whether the log's disk is short of space."""
    if item.low != turn.state.m.storage_low:
        turn.emit(ev.StorageSpaceChanged(low=item.low))
    return Done()
