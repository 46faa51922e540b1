"""What `--dry-run` shows: the job as it would be submitted, where it would go, and what its ranks would find."""

from collections import defaultdict
from typing import Any

import click

from dlroverd.cli import output
from dlroverd.cli.endings import CommandError
from dlroverd.cli.options import connect
from dlroverd.config.durations import format_duration
from dlroverd.model.environment import rank_environment
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RoleSpec
from dlroverd.model.view import DryRunView
from dlroverd.model.world import Assignment, JobDescriptor

# What is known only once the job is started.
_LATER = {
    "MASTER_PORT": "(the daemon chooses one)",
    "DLROVERD_JOB": "(the job's id)",
    "TORCHELASTIC_RUN_ID": "(made from the job's id)",
    "DLROVERD_UNIT": "(the rank's unit)",
}
_PER_NODE = "(on its node)"
_NAMED = 8


def show(spec: JobSpec, address: str, form: str) -> None:
    """Ask the daemon what would become of a job, and show it with the job.

    Raises:
        CommandError: the daemon would refuse it, or cannot be reached.
    """
    with connect(address) as client:
        view = client.dry_run(spec)
    if view.refused:
        raise CommandError(view.refused)
    if form == "text":
        for line in _lines(spec, view):
            click.echo(line)
        return
    output.document("dry_run", _document(spec, view), form)


def _document(spec: JobSpec, view: DryRunView) -> dict[str, Any]:
    return {
        "spec": output.plain(spec),
        **output.plain(view),
        "environment": {role.name: environment(spec, role, view) for role in spec.roles},
    }


def _lines(spec: JobSpec, view: DryRunView) -> list[str]:
    lines = [f"job {spec.name} as {spec.user.name}, priority {spec.priority}; nothing was submitted"]
    for role in spec.roles:
        nodes = f"{role.nodes_min}" if role.nodes_min == role.nodes_max else f"{role.nodes_min}:{role.nodes_max}"
        gangs = f"{role.gangs} x " if role.gangs > 1 else ""
        lines.append(f"role {role.name}: {gangs}{nodes} nodes x {role.nproc_per_node} ranks: {' '.join(role.argv)}")
        lines.append(f"  in {role.cwd}")
    lines.append("placement:")
    lines += [f"  {gang.role}/{gang.gang}: {', '.join(gang.nodes)}" for gang in view.placed]
    if not view.placed:
        lines.append(f"  none now, it would wait: {view.reason}")
    if view.preempts:
        lines.append(f"  would make room: {', '.join(f'job {job}' for job in view.preempts)}")
    lines += rejected(view)
    for role in spec.roles:
        lines.append(f"environment of rank 0 of {role.name}, beside what its host sets:")
        lines += [f"  {name}={value}" for name, value in sorted(environment(spec, role, view).items())]
        lines += [f"  {each.name} is read from {each.file or f'credential {each.credential}'}" for each in role.secrets]
    lines.append("time limits:")
    lines += [f"  {name} {format_duration(seconds)}" for name, seconds in _times(spec)]
    lines += [f"  {limit.name} {format_duration(limit.seconds)} (the daemon's)" for limit in view.limits]
    return lines


def rejected(view: DryRunView) -> list[str]:
    """Say of the nodes that cannot be had why, equal reasons together."""
    by_reason: defaultdict[str, list[str]] = defaultdict(list)
    for each in view.rejected:
        by_reason[each.reason].append(each.node)
    lines = ["nodes it cannot have:"] if by_reason else []
    for reason, nodes in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        more = f" and {len(nodes) - _NAMED} more" if len(nodes) > _NAMED else ""
        lines.append(f"  {', '.join(nodes[:_NAMED])}{more}: {reason}")
    return lines


def _times(spec: JobSpec) -> list[tuple[str, float]]:
    names = ("start_timeout_s", "queue_timeout_s", "time_limit_s", "restart_grace_s", "cancel_grace_s")
    return [(name.removesuffix("_s"), getattr(spec, name)) for name in (*names, "preempt_grace_s", "replace_wait_s")]


def environment(spec: JobSpec, role: RoleSpec, view: DryRunView) -> dict[str, str]:
    """Give the environment of rank 0 of a role's first gang, as far as it is known before the start."""
    placed = next((gang.nodes for gang in view.placed if gang.role == role.name), ())
    nodes = len(placed) or role.nodes_max
    assignment = Assignment(
        round=GangKey(0, role.name, 0).at(1),
        world_size=nodes * role.nproc_per_node,
        group_rank=0,
        group_world_size=nodes,
        first_rank=0,
        nproc=role.nproc_per_node,
        master_addr=placed[0] if placed else "(its first node)",
        master_port=0,
        restart_count=0,
    )
    found = rank_environment(
        JobDescriptor(job=0, spec=spec),
        assignment,
        0,
        node=placed[0] if placed else "(its node)",
        error_file=_PER_NODE,
        progress_file=_PER_NODE,
        notice_file=_PER_NODE,
        saves_file=_PER_NODE,
        counter=_PER_NODE,
        events_file=_PER_NODE,
    )
    later = {key: value for key, value in _LATER.items() if key != "TORCHELASTIC_RUN_ID" or not spec.run_id}
    return {**found, **later}
