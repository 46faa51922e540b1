"""After a stop: name the cause, see who pays, and start anew, ask for other nodes, or give up."""

from dataclasses import dataclass

from dlroverd.core.classify import attribute
from dlroverd.core.passes import finish, incidents, liveness, membership
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.turn import Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind, Incident
from dlroverd.model.job import GangState, JobState

# Starting the same thing again can not help these.
_HOPELESS = frozenset({CauseKind.MISSING_SCRIPT, CauseKind.SYNTAX_ERROR, CauseKind.IMPORT_ERROR})
# Not the job's fault: its budget does not pay.
_FREE = frozenset({CauseKind.NODE_LOST, CauseKind.REQUESTED, CauseKind.DEVICE_LOST})
# Its node is not fit for this job: if the job ever ran, other nodes are tried.
_UNFIT = frozenset({CauseKind.CHECK_FAILED, CauseKind.MISMATCH, CauseKind.NO_PATH})
# What was known at detection explains these ends, whatever the ranks said.
_EXPLAINS_ALL = frozenset({CauseKind.DEVICE_LOST})
# Another port each time; that many in a row mean that something else is wrong.
_FREE_PORT_RETRIES = 5


@dataclass(frozen=True, slots=True)
class _Verdict:
    action: str
    end: bool = False
    gave_up: bool = False
    pays: bool = False
    port_retries: int = 0
    avoid: str = ""


def decide(turn: Turn, job: int) -> None:
    """If the stop of a restarting job has ended, decide what follows."""
    state = turn.state
    record = state.jobs.get(job)
    if record is None or record.state is not JobState.RESTARTING:
        return
    gangs = state.gangs_of(job)
    stopped = [gang for gang in gangs if gang.state is GangState.STOPPED]
    if not stopped or any(gang.state is GangState.STOPPING for gang in gangs):
        return
    incident = state.open_incident(job)
    if incident is None:
        raise AssertionError(f"job {job} is restarting without an incident")
    cause, verdict = _attribute(turn, record, incident, stopped)
    if verdict.end:
        finish.end(turn, job, JobState.FAILED, verdict.action, gave_up=verdict.gave_up)
        return
    if verdict.pays:
        turn.emit(ev.RestartSpent(job=job, at=turn.now))
    turn.emit(ev.RestartCounted(job=job, port_retries=verdict.port_retries))
    if verdict.avoid:
        until = turn.now + turn.limits.avoid_s
        turn.emit(ev.NodeAvoided(job=job, node=verdict.avoid, until=until, reason=cause.sentence))
    _start_anew(turn, job, stopped, cause)


def _attribute(turn: Turn, job: JobRecord, incident: Incident, stopped: list[GangRecord]) -> tuple[Cause, _Verdict]:
    # A gang that waits for nodes since an earlier fault died of that one.
    worlds = [gang for gang in stopped if gang.since >= incident.detected_at]
    ranks = [rank for gang in worlds for rank in turn.state.world(gang)]
    found, victims = attribute(ranks)
    lost = next((cause for gang in worlds if (cause := liveness.lost_under(turn, gang)) is not None), None)
    cause = _weigh(found, incident.cause or lost)
    if found is not None and cause is not found:
        victims = (found, *victims)
    reached = max((rank.exit.step for rank in ranks if rank.exit is not None), default=-1)
    verdict = _judge(turn, job, incident, cause, reached)
    turn.emit(
        ev.IncidentAttributed(
            job=job.id,
            incident=incident.id,
            cause=cause,
            victims=victims,
            stopped_at=turn.now,
            action=verdict.action,
            reached=reached,
        )
    )
    return cause, verdict


def _weigh(found: Cause | None, given: Cause | None) -> Cause:
    """Choose between what the ranks' ends say and what was known at detection (a lost node, a request)."""
    if given is not None and (found is None or found.kind is CauseKind.PEER_LOST or given.kind in _EXPLAINS_ALL):
        return given
    if found is not None:
        return found
    return Cause(kind=CauseKind.STOPPED, rule="stopped", sentence="its ranks were stopped from outside")


def _judge(turn: Turn, job: JobRecord, incident: Incident, cause: Cause, reached: int) -> _Verdict:
    if cause.kind in _HOPELESS:
        return _Verdict(f"failed: {cause.sentence}; starting it again can not help", end=True)
    if cause.kind in _UNFIT:
        if job.started_at or cause.kind is CauseKind.NO_PATH:
            return _Verdict(f"other nodes than {cause.node}, at no cost to the job", avoid=cause.node)
        return _Verdict(f"failed: {cause.sentence}", end=True)
    before = turn.state.incidents.get((job.id, incident.id - 1)) if not incident.drill else None
    if before is not None and _same_again(before, cause, reached):
        return _Verdict(f"failed: {cause.sentence}; the same at the last start, so it would again", end=True)
    if cause.kind in _FREE or incident.drill:
        return _Verdict("restart, at no cost to the job")
    if cause.kind is CauseKind.PORT_TAKEN and job.port_retries < _FREE_PORT_RETRIES:
        return _Verdict("restart on another port, at no cost to the job", port_retries=job.port_retries + 1)
    budget, window_s = job.spec.max_restarts, job.spec.restart_window_s
    spent = sum(1 for at in job.spent if at > turn.now - window_s)
    if spent >= budget:
        sentence = f"failed: {cause.sentence}"
        if budget:
            sentence += f"; gave up: {spent} restarts in {window_s:g} s, and max_restarts is {budget}"
        return _Verdict(sentence, end=True, gave_up=budget > 0)
    return _Verdict(f"restart {spent + 1} of {budget}", pays=True)


def _same_again(before: Incident, cause: Cause, reached: int) -> bool:
    """Whether two starts in a row failed at the same place without getting further (DESIGN section 5)."""
    place = _place(cause)
    return (
        place is not None and before.cause is not None and place == _place(before.cause) and (reached <= before.reached)
    )


def _place(cause: Cause) -> tuple[str, str, int] | None:
    exit_ = cause.exit
    if cause.kind is CauseKind.EXCEPTION and exit_ is not None and exit_.error is not None:
        return (exit_.error.type, exit_.error.file, exit_.error.line)
    if cause.kind is CauseKind.LAUNCH and exit_ is not None:
        return (exit_.launch_error, "", 0)
    return None


def _start_anew(turn: Turn, job: int, stopped: list[GangRecord], cause: Cause) -> None:
    """In place if every gang's nodes are ready, which asks nobody; else the scheduler is asked for nodes."""
    avoided = {node for node, _, _ in turn.state.jobs[job].avoid}
    if not all(membership.can_reform(turn.state, gang) and not avoided.intersection(gang.nodes) for gang in stopped):
        # All of them, also those whose own nodes are well: two jobs that wait with nodes in hand may wait for ever.
        for gang in stopped:
            turn.emit(ev.GangReleased(gang=gang.key))
        queue_until = turn.now + turn.state.jobs[job].spec.queue_timeout_s
        turn.emit(
            ev.JobMoved(
                job=job,
                on="needs_nodes",
                to=JobState.QUEUED,
                reason=f"needs other nodes: {cause.sentence}",
                deadline=queue_until,
            )
        )
        return
    for gang in stopped:
        membership.reform(turn, gang, cause.sentence, cause.kind)
    turn.emit(
        ev.JobMoved(
            job=job,
            on="reformed",
            to=JobState.STARTING,
            reason=f"restarted: {cause.sentence}",
            deadline=turn.now + turn.state.jobs[job].spec.start_timeout_s + turn.limits.stop_margin_s,
        )
    )
    incidents.reached(turn, job, "placed")
