"""After a stop: name the cause, and do what the verdict on it says: start anew, now or later, or give up."""

from dataclasses import replace

from dlroverd.core import signals
from dlroverd.core.classify import attribute, blames_node, is_echo
from dlroverd.core.passes import (
    checkups,
    elastic,
    faults,
    finish,
    incidents,
    liveness,
    membership,
    outages,
    planned,
    reputation,
)
from dlroverd.core.passes.verdict import Verdict, judge
from dlroverd.core.records import GangRecord, JobRecord
from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind, Incident
from dlroverd.model.job import GangState, JobState

# What was known at detection explains these ends, whatever the ranks said.
_EXPLAINS_ALL = frozenset({CauseKind.DEVICE_LOST, CauseKind.HANG})
_ASKED_FOR = frozenset({CauseKind.REQUESTED, CauseKind.PREEMPTED})


def decide(turn: Turn, job: int) -> None:
    """If the stop of a restarting job has ended, decide what follows."""
    state = turn.state
    record = state.jobs.get(job)
    if record is None or record.state is not JobState.RESTARTING:
        return
    stopped = _stopped(state, job)
    if not stopped:
        return
    incident = state.open_incident(job)
    if record.plan is not None and record.plan.stopping:
        planned.conclude(turn, job, stopped)
        return
    if incident is None:
        raise AssertionError(f"job {job} is restarting without an incident")
    if outages.unsettled(state, stopped):
        return
    if incident.stopped_at and incident.cause is not None:  # judged: it waited, or the rest of the job had to stop
        if turn.now >= record.not_before or record.plan is not None:
            _start_anew(turn, job, stopped, incident.cause)
        return
    cause, verdict = _attribute(turn, record, incident, stopped)
    if not incident.drill:
        reputation.blame(turn, record, cause)
        if cause.node and blames_node(cause):
            checkups.after_failure(turn, cause.node, again=not verdict.end)
    if verdict.end:
        finish.end(turn, job, JobState.FAILED, verdict.action, gave_up=verdict.gave_up)
        return
    if verdict.pays:
        turn.emit(ev.RestartSpent(job=job, at=turn.now))
    turn.emit(ev.RestartCounted(job=job, best_step=verdict.best_step, fruitless=verdict.fruitless))
    if verdict.avoid:
        until = turn.now + turn.limits.avoid_s
        turn.emit(ev.NodeAvoided(job=job, node=verdict.avoid, until=until, reason=cause.sentence))
    live = [gang for gang in state.gangs_of(job) if gang.state in LIVE_GANG] if verdict.whole else []
    for gang in live:
        faults.stop_gang(turn, gang.key, record.spec.restart_grace_s, 0.0, cause.sentence)
    if verdict.wait_s:
        turn.emit(ev.RestartDelayed(job=job, until=turn.now + verdict.wait_s, reason=verdict.waiting))
    elif not live:
        _start_anew(turn, job, stopped, cause)


def can_be_decided(state: State, job: int) -> bool:
    """Whether the stop of a restarting job has ended, and no more of its nodes are expected to fall silent."""
    stopped = _stopped(state, job)
    return bool(stopped) and not outages.unsettled(state, stopped)


def _stopped(state: State, job: int) -> list[GangRecord]:
    """Give the stopped gangs of a job, once none is being stopped any more."""
    gangs = state.gangs_of(job)
    if any(gang.state is GangState.STOPPING for gang in gangs):
        return []
    return [gang for gang in gangs if gang.state is GangState.STOPPED]


def _attribute(turn: Turn, job: JobRecord, incident: Incident, stopped: list[GangRecord]) -> tuple[Cause, Verdict]:
    # A gang that waits for nodes since an earlier fault died of that one.
    worlds = [gang for gang in stopped if gang.since >= incident.detected_at]
    ranks = [rank for gang in worlds for rank in turn.state.world(gang)]
    found, victims = attribute(ranks)
    lost = next((cause for gang in worlds if (cause := liveness.lost_under(turn, gang)) is not None), None)
    said = signals.behind(turn.state, turn.limits.signals, worlds, incident.began_at, found)
    cause = _weigh(found, _given(incident.cause or lost, said))
    if found is not None and cause is not found:
        victims = (found, *victims)
    cause = _with_device(turn.state, cause)
    began_at, outage = incidents.first_sign(turn, incident, cause), outages.behind(turn.state, worlds, cause)
    if outage is not None:
        cause = outages.told(*outage, worlds)
    reached = max((rank.exit.step for rank in ranks if rank.exit is not None), default=-1)
    verdict = judge(turn, job, incident, cause, reached)
    turn.emit(
        ev.IncidentAttributed(
            job=job.id,
            incident=incident.id,
            cause=cause,
            victims=victims,
            stopped_at=max((gang.since for gang in worlds), default=turn.now),
            decided_at=turn.now,
            began_at=began_at,
            domain=" ".join(outage[0]) if outage is not None else "",
            action=verdict.action,
            reached=reached,
        )
    )
    return cause, verdict


def _given(known: Cause | None, said: Cause | None) -> Cause | None:
    """Choose between what was known at detection and what a kernel or driver said: of a lost node only its own."""
    if said is None or known is None:
        return known or said
    if known.kind in _ASKED_FOR or (known.kind is CauseKind.NODE_LOST and known.node != said.node):
        return known
    return said


def _weigh(found: Cause | None, given: Cause | None) -> Cause:
    """Choose between what the ranks' ends say and what was known at detection (a lost node, a request)."""
    if given is not None and (found is None or is_echo(found) or given.kind in _EXPLAINS_ALL or _is_signal(given)):
        return given
    if found is not None:
        return found
    return Cause(kind=CauseKind.STOPPED, rule="stopped", sentence="its ranks were stopped from outside")


def _is_signal(cause: Cause) -> bool:
    """Whether a kernel or driver said so itself."""
    return cause.rule.startswith(signals.RULE)


def _with_device(state: State, cause: Cause) -> Cause:
    """Add which device the rank used that is the cause: of those granted to its gang there, the local rank's."""
    rank = state.ranks.get(cause.rank) if cause.rank is not None else None
    grant = state.grants.get((rank.node, rank.key.gang_key)) if rank is not None else None
    if rank is None or grant is None or rank.local_rank >= len(grant.devices):
        return cause
    return replace(cause, device=grant.devices[rank.local_rank])


def _start_anew(turn: Turn, job: int, stopped: list[GangRecord], cause: Cause) -> None:
    """In place if every gang's nodes are ready or it has spares, which asks nobody; else for other nodes."""
    if turn.state.jobs[job].plan is not None:
        planned.conclude(turn, job, stopped)
        return
    worlds = [(gang, elastic.replaced(turn.state, gang)) for gang in stopped]
    if any(grants is None for _, grants in worlds):
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
    for gang, grants in worlds:
        membership.form(turn, gang.key, grants or (), cause.sentence, cause.kind)
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
