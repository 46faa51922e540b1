"""Who may use how much: what a job may take beside what its user and project use already."""

from collections.abc import Iterator, Sequence

from dlroverd.core.state import State
from dlroverd.model.job import JobSpec
from dlroverd.model.quota import ANYONE, Quota


def over(state: State, quotas: Sequence[Quota], job: int, need: int) -> str:
    """Say which quota `need` more slots for a job would break, as a sentence with numbers; "" if none."""
    for quota, who in _of(quotas, state.jobs[job].spec):
        used, jobs = state.slots_of[quota.kind, who], state.jobs_of[quota.kind, who]
        if quota.devices is not None and used + need > quota.devices:
            return f"{quota.kind} {who} uses {used} of {quota.devices} devices (quota), and it needs {need}"
        if quota.jobs is not None and not state.job_slots[job] and jobs >= quota.jobs:
            return f"{quota.kind} {who} runs {jobs} of {quota.jobs} jobs (quota)"
    return ""


def room(state: State, quotas: Sequence[Quota], job: int) -> int | None:
    """How many more slots a job may take before a quota stops it; None if none does."""
    spec = state.jobs[job].spec
    left = [
        max(0, quota.devices - state.slots_of[quota.kind, who])
        for quota, who in _of(quotas, spec)
        if quota.devices is not None
    ]
    return min(left, default=None)


def never(quotas: Sequence[Quota], spec: JobSpec) -> str:
    """Say which quota a job would break even if its user and project used nothing else; "" if none."""
    need = sum(role.gangs * role.nodes_min * role.nproc_per_node for role in spec.roles)
    for quota, who in _of(quotas, spec):
        if 0 in (quota.jobs, quota.devices):
            what = "jobs" if quota.jobs == 0 else "devices"
            return (
                f"The quota of {quota.kind} {who} is 0 {what}, so none of theirs can run; ask an operator to raise it."
            )
        if quota.devices is not None and need > quota.devices:
            return (
                f"The job needs {need} devices, and the quota of {quota.kind} {who} is {quota.devices}; "
                "ask for less (--nnodes, --nproc-per-node), or an operator to raise it."
            )
    return ""


def _of(quotas: Sequence[Quota], spec: JobSpec) -> Iterator[tuple[Quota, str]]:
    """The quotas that bind a job, each with the name of whom it binds."""
    for kind, who in (("user", spec.user.name), ("project", spec.project)):
        if not who:
            continue
        own = [quota for quota in quotas if quota.kind == kind and quota.name == who]
        for quota in own or [quota for quota in quotas if quota.kind == kind and quota.name == ANYONE]:
            yield quota, who
