"""A fault: stop every gang that joins the restart, at the first sign, and attribute later."""

from dlroverd.core.passes import incidents
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, JobState
from dlroverd.model.world import Tombstone


def fail_gang(turn: Turn, gang: GangKey, began_at: float, cause: Cause | None) -> None:
    """Begin (or join) an incident and stop what restarts with `gang`.

    `cause` is given when the fault is not the end of a rank: it stands unless an end explains more.
    """
    job = turn.state.jobs[gang.job]
    if job.state is JobState.STOPPING or job.state.final:
        return
    incidents.opened(turn, gang, began_at, cause)
    reason = cause.sentence if cause is not None else "a rank failed"
    for record in turn.state.gangs_of(gang.job):
        if record.state in LIVE_GANG and record.key.role in joining_roles(job.spec, gang.role):
            stop_gang(turn, record.key, job.spec.restart_grace_s, turn.limits.evidence_s, reason)
    if turn.state.jobs[gang.job].state is not JobState.RESTARTING:
        deadline = turn.now + job.spec.restart_grace_s + turn.limits.stop_margin_s
        turn.emit(ev.JobMoved(job=gang.job, on="fault", to=JobState.RESTARTING, reason=reason, deadline=deadline))


def stop_gang(turn: Turn, gang: GangKey, grace_s: float, evidence_s: float, reason: str) -> None:
    """Order a gang's current world stopped on every node that holds part of it."""
    record = turn.state.gangs[gang]
    tombstone = Tombstone(round=gang.at(record.round), grace_s=grace_s, evidence_s=evidence_s, reason=reason)
    deadline = turn.now + grace_s + evidence_s + turn.limits.stop_margin_s
    turn.emit(ev.GangStopping(nodes=record.nodes, tombstone=tombstone, deadline=deadline))
    turn.touch(gang)


def joining_roles(spec: JobSpec, failed: str) -> frozenset[str]:
    """Roles that restart when `failed` does: those that name it, or all ("*"), and so on from those."""
    joined = {failed}
    while True:
        more = {
            role.name
            for role in spec.roles
            if role.name not in joined and ("*" in role.restart_with or joined & set(role.restart_with))
        }
        if not more:
            return frozenset(joined)
        joined |= more
