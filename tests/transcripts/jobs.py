"""The jobs that transcripts submit: what the words after `submit` make of one."""

from dlroverd.model.job import FailureRule, FailureVerdict, GrowWhen, JobSpec, RoleSpec, User


def role(options: dict[str, str]) -> RoleSpec:
    least, _, most = options.get("nnodes", "1").partition(":")
    joins = options.get("restart_with", "*")
    return RoleSpec(
        name=options.get("role", "trainer"),
        argv=("/usr/bin/python3", "train.py"),
        cwd="/",
        gangs=int(options.get("gangs", "1")),
        nodes_min=int(least),
        nodes_max=int(most or least),
        node_unit=int(options.get("unit", "1")),
        nproc_per_node=int(options.get("nproc", "1")),
        spares=int(options.get("spares", "0")),
        lease_s=float(options.get("lease", "0")),
        restart_with=() if joins == "none" else tuple(joins.split(",")),
    )


def spec(name: str, roles: tuple[RoleSpec, ...], options: dict[str, str]) -> JobSpec:
    return JobSpec(
        name=name,
        user=User(uid=1000, gid=1000, name=options.get("user", "ann")),
        project=options.get("project", ""),
        priority=int(options.get("priority", "0")),
        roles=roles,
        max_restarts=int(options.get("max_restarts", "3")),
        time_limit_s=float(options.get("time_limit", "0")),
        queue_timeout_s=float(options.get("queue_timeout", "86400")),
        allow_mismatch=options.get("allow_mismatch") == "yes",
        grow=GrowWhen(options.get("grow", "checkpoint")),
        replace_wait_s=float(options.get("replace_wait", "60")),
        notice_signal=options.get("notice_signal", ""),
        checkpoint_interval_s=float(options.get("checkpoint_interval", "0")),
        checkpoint_memory_bytes=int(options.get("checkpoint_memory", "0")) << 30,
        on_failure=tuple(_rule(each) for each in options.get("on_failure", "").split(",") if each),
    )


def _rule(text: str) -> FailureRule:
    """kind=signal:node | code=3:abort | kind=signal:job:free: one line of a user's policy."""
    match, verdict, *free = text.split(":")
    what, _, value = match.partition("=")
    return FailureRule(
        verdict=FailureVerdict(verdict),
        exit_codes=(int(value),) if what == "code" else (),
        kinds=(value,) if what == "kind" else (),
        free=bool(free),
    )
