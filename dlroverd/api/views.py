"""What clients are shown of the state. Pure; computes nothing that the core has not decided."""

import signal

from dlroverd.api.diagnoses import diagnosis_views
from dlroverd.api.goodput import goodput_view
from dlroverd.core import out_of_use, reasons
from dlroverd.core.interval import lost_ratio
from dlroverd.core.records import GangRecord, JobRecord, NodeRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.model.cadence import Cadence, CadenceView
from dlroverd.model.fault import ExitInfo, Incident
from dlroverd.model.job import GangState
from dlroverd.model.limits import Limits
from dlroverd.model.node_view import HoldView
from dlroverd.model.phases import cost_node_s, phases
from dlroverd.model.plan import Plan
from dlroverd.model.view import GangView, IncidentView, JobView, NodeView, PhasesView, PlanView, RankView, RoleView
from dlroverd.runtime.sessions import Sessions


def job_view(
    state: State, sessions: Sessions, job: JobRecord, now: float, limits: Limits, *, with_spec: bool = False
) -> JobView:
    """Give one job as it is `now`."""
    gangs = state.gangs_of(job.id)
    since = state.m.now - job.spec.restart_window_s
    return JobView(
        id=job.id,
        name=job.spec.name,
        user=job.spec.user.name,
        state=job.state.value,
        reason=reasons.current(state, job.id, limits),
        restarts=job.restarts,
        restarts_in_window=sum(at > since for at in job.spent),
        submitted_at=job.submitted_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        gave_up=job.gave_up,
        roles=tuple(
            RoleView(
                name=role.name,
                gangs=tuple(_gang(state, sessions, gang) for gang in gangs if gang.key.role == role.name),
            )
            for role in job.spec.roles
        ),
        incidents=tuple(_incident(incident, now) for incident in state.incidents_of(job.id)),
        spec=job.spec if with_spec else None,
        goodput=goodput_view(state, job, now),
        plan=_plan(job.plan) if job.plan is not None else None,
        priority=job.spec.priority,
        project=job.spec.project,
        diagnoses=diagnosis_views(state, job.id),
    )


def _plan(plan: Plan) -> PlanView:
    return PlanView(kind=plan.kind.value, reason=plan.reason, by=plan.by, stopping=plan.stopping)


def _gang(state: State, sessions: Sessions, gang: GangRecord) -> GangView:
    ranks = list(state.world(gang))
    # What sessions know is telemetry, gone with the daemon; where a rank got to is in its end, which the log keeps.
    steps = [sessions.steps.of(gang.key), *(rank.exit.step for rank in ranks if rank.exit is not None)]
    return GangView(
        gang=gang.key.gang,
        state=gang.state.value,
        round=gang.round,
        world_size=gang.world_size,
        master=f"{gang.master_addr}:{gang.master_port}" if gang.round else "",
        network=gang.network,
        step=max(steps),
        ranks=tuple(_rank(rank) for rank in ranks),
        nodes_max=state.jobs[gang.key.job].spec.role(gang.key.role).nodes_max,
        room=gang.room,
        growth=gang.reason if gang.state is GangState.RUNNING and gang.deadline else "",
        spares=tuple(sorted(state.gang_spares.get(gang.key, ()))),
        cadence=_cadence(gang.cadence) if gang.cadence is not None else None,
    )


def _cadence(cadence: Cadence) -> CadenceView:
    interval_s, basis = cadence.interval_s, cadence.basis
    if basis is None:
        return CadenceView(interval_s=interval_s, every=cadence.every)
    return CadenceView(
        interval_s=interval_s,
        every=cadence.every,
        save_s=basis.save_s,
        mtbf_s=basis.mtbf_s,
        restart_s=basis.restart_s,
        lost_ratio=lost_ratio(interval_s, basis.save_s, basis.restart_s, basis.mtbf_s),
        save_known=basis.save_known,
        restart_known=basis.restart_known,
    )


def _rank(rank: RankRecord) -> RankView:
    return RankView(
        rank=rank.key.rank,
        local_rank=rank.local_rank,
        node=rank.node,
        state=rank.state.value,
        pid=rank.pid,
        exit=exit_text(rank.exit) if rank.exit is not None else "",
    )


def exit_text(exit_: ExitInfo) -> str:
    """Say in a word or two how a rank ended: `0`, `1`, `SIGKILL`, or why that is not known."""
    if exit_.launch_error:
        return f"not started: {exit_.launch_error}"
    if exit_.signal is not None:
        try:
            return signal.Signals(exit_.signal).name
        except ValueError:  # a real-time signal has no name
            return f"signal {exit_.signal}"
    return str(exit_.code) if exit_.code is not None else f"not known: {exit_.lost}"


def _incident(incident: Incident, now: float) -> IncidentView:
    return IncidentView(
        id=incident.id,
        role=incident.gang.role,
        gang=incident.gang.gang,
        round=incident.round,
        began_at=incident.began_at,
        open=not incident.closed_at,
        action=incident.action,
        phases=phases_view(incident),
        step=incident.step if incident.stepped_at else -1,
        cause=incident.cause,
        victims=incident.victims,
        drill=incident.drill,
        nodes=incident.nodes,
        reached=incident.reached,
        cost_node_s=cost_node_s(incident, now),
        domain=incident.domain,
    )


def phases_view(incident: Incident) -> PhasesView:
    """Give an incident's phases in seconds; the whole is known once it is closed."""
    parts = phases(incident)
    spans = {name: span_us / 1e6 for name, span_us in parts}
    total = sum(span_us for _, span_us in parts) / 1e6 if incident.closed_at else None
    return PhasesView(**spans, total=total)


def standing(state: State, node: str) -> str:
    """Say that a node is shut out, by whom and why; "" if it is not."""
    known = state.certified.get(node)
    if known is None or not known.revoked_by:
        return ""
    why = f" ({known.reason})" if known.reason else ""
    return f"its certificates were revoked by {known.revoked_by}{why}; it may join again by a new token"


def node_view(state: State, sessions: Sessions, node: NodeRecord) -> NodeView:
    """Give one node as it is now."""
    away_s = sessions.back_within(node.id)
    return NodeView(
        id=node.id,
        state=node.state.value,
        reason=f"its agent stopped and is waited for {away_s:.0f} s more; ranks run on" if away_s else node.reason,
        since=node.since,
        address=node.facts.address,
        slots=node.facts.slots,
        free=state.free.free(node.id) or 0,
        devices=len(node.facts.devices),
        agent_version=node.facts.agent_version,
        jobs=tuple(sorted({key.job for key in state.node_gangs.get(node.id, ())})),
        orphans=tuple(str(key) for key in node.orphans),
        notes=(
            *(f"device {each.uuid} is {each.state}: {each.detail}" for each in node.devices),
            *(f"{each.key} cannot be ended: {', '.join(each.processes)}; reboot the node" for each in node.stuck),
            *filter(None, (standing(state, node.id), sessions.certificates.problem(node.id))),
        ),
        holds=tuple(
            HoldView(
                owner=hold.owner,
                kind=hold.kind.value,
                reason=hold.reason,
                since=hold.since,
                mode=hold.mode.value if hold.kind in out_of_use.EMPTIES else "",
                deadline=hold.deadline,
                request=hold.request,
            )
            for hold in node.holds
        ),
        progress=out_of_use.progress(state, node),
        doubt=node.doubt,
        labels=node.facts.labels,
    )
