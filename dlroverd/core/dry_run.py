"""What would become of a job if it were submitted now. Changes nothing."""

from dataclasses import fields

from dlroverd.core import out_of_use
from dlroverd.core.apply import apply
from dlroverd.core.intake import jobs
from dlroverd.core.passes import preempt, queue, requests
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.explain import explain
from dlroverd.model.job import JobSpec
from dlroverd.model.limits import Limits
from dlroverd.model.placement import Placement, Preempt
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.view import DryRunView, LimitView


def dry_run(state: State, limits: Limits, spec: JobSpec) -> DryRunView:
    """Submit a job to the state, see where the built-in rule would put it, and take it back."""
    refused = jobs.refusal(state, limits, spec)
    shown = tuple(
        LimitView(name=field.name.removesuffix("_s"), seconds=getattr(limits, field.name))
        for field in fields(limits)
        if field.name.endswith("_s")
    )
    if refused is not None:
        return DryRunView(refused=refused.sentence, limits=shown)
    state.begin()
    try:
        job = state.m.next_job
        apply(state, ev.JobSubmitted(job=job, request_id="", spec=spec, reason="waits for its turn", deadline=0.0))
        return _seen(state, limits, job, shown)
    finally:
        state.rollback()


def _seen(state: State, limits: Limits, job: int, shown: tuple[LimitView, ...]) -> DryRunView:
    record = state.jobs[job]
    request = requests.request(state, job, limits)
    held = {name: out_of_use.why(state, name) for name in state.nodes if state.free.free(name) is None}
    held |= dict.fromkeys(requests.pool(state, limits), "kept for jobs that lost a node")
    rejected = explain(state.free, request, held)
    line = [each.id for each in queue.eligible(state, limits)]
    if job not in line:
        return DryRunView(reason=queue.why(state, limits, job), ahead=len(line), rejected=rejected, limits=shown)
    ahead = line.index(job) + len(state.placing)
    answer = place_or_preempt(state.free, request, preempt.candidates(state, limits, record))
    if isinstance(answer, Placement) and not ahead:
        return DryRunView(placed=answer.gangs, rejected=rejected, limits=shown)
    if isinstance(answer, Preempt):
        reason, preempts = "jobs of lower priority would make room for it", answer.jobs
    elif isinstance(answer, Placement):
        reason, preempts = f"there is room for it, behind {ahead} jobs in line", ()
    else:
        reason, preempts = answer.reason, ()
    return DryRunView(reason=reason, ahead=ahead, preempts=preempts, rejected=rejected, limits=shown)
