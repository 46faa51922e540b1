"""What a job's spec must keep to, whoever made it: dlroverctl resolves specs that do, other clients may not.

These are the bounds that the core and the agents rely on; whether the fleet can run the job is the core's to say.
"""

import math
import re
import signal
from collections.abc import Iterator
from dataclasses import replace

from dlroverd.config.secrets import CREDENTIAL
from dlroverd.model.checkup import CheckLevel
from dlroverd.model.hang import OFF, PATIENCE, Phase
from dlroverd.model.hold import DrainMode, HoldKind
from dlroverd.model.ids import GangKey
from dlroverd.model.input import AskCheckup, HoldNodes, OrderDrill
from dlroverd.model.job import JobSpec, RoleSpec
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.roles import Caller, Role
from dlroverd.model.world import DrillKind
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import CheckRequest, DrillRequest, HoldRequest

# Names become parts of unit and file names, 255 bytes at most.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_RANKS = 100_000
_LONGEST_DRILL_S = 3600.0
_LONGEST_WAIT_S = 7 * 86400.0
_LONGEST_REASON, _LONGEST_OWNER = 500, 64
_LONGEST_HOLD_S = 365 * 86400.0
_DURATIONS = (
    "restart_window_s",
    "time_limit_s",
    "start_timeout_s",
    "queue_timeout_s",
    "restart_grace_s",
    "cancel_grace_s",
    "preempt_grace_s",
    "replace_wait_s",
)


def check(spec: JobSpec) -> None:
    """CallError(INVALID) with one sentence for the first rule that a spec breaks."""
    for problem in _problems(spec):
        raise CallError(Reason.INVALID, f"The job cannot be taken: {problem}.")


def of_submitter(spec: JobSpec, caller: Caller) -> JobSpec:
    """Give a spec that names its submitter, by the name that counts for quotas and is compared on nodes.

    Raises:
        CallError: FORBIDDEN, it would run as somebody else; administrators may have that.
    """
    user = spec.user
    if caller.role is Role.ADMIN:
        return spec
    if user.uid != caller.uid or (user.name != caller.name and user.name != str(user.uid)):
        raise CallError(
            Reason.FORBIDDEN,
            f"The job is to run as {user.name} (uid {user.uid}), and {caller.name} (uid {caller.uid}) submits it: "
            "a job runs as its submitter.",
        )
    if user.gid not in caller.gids:
        raise CallError(
            Reason.FORBIDDEN,
            f"The job is to run with the group {user.gid}, and {caller.name} is not in it; use your own.",
        )
    return replace(spec, user=replace(user, name=caller.name))


def within(seconds: float) -> float:
    """Give back how long a stop may wait for a checkpoint; CallError(INVALID) where that is no time to wait."""
    if not 0 <= seconds <= _LONGEST_WAIT_S:
        raise CallError(Reason.INVALID, f"A checkpoint can be waited for 0 to {_LONGEST_WAIT_S:g} s, not {seconds:g}.")
    return seconds


def drill(wanted: DrillRequest, actor: str) -> OrderDrill:
    """Give what the core is asked; CallError(INVALID) where a drill names too little, or lasts too long."""
    if not 0 <= wanted.for_s <= _LONGEST_DRILL_S:
        raise CallError(Reason.INVALID, f"A drill lasts 0 to {_LONGEST_DRILL_S:g} s, not {wanted.for_s:g}.")
    of_node = wanted.kind in (DrillKind.KILL_AGENT, DrillKind.LOSE_NODE)
    if of_node and not wanted.node:
        raise CallError(Reason.INVALID, f"The drill {wanted.kind} needs a node; name one.")
    return OrderDrill(
        request_id=wanted.request_id,
        kind=wanted.kind,
        actor=actor,
        gang=None if of_node else GangKey(wanted.job, wanted.role, wanted.gang),
        rank=wanted.rank,
        node=wanted.node if of_node else "",
        for_s=wanted.for_s,
    )


def checkup(wanted: CheckRequest, actor: str) -> AskCheckup:
    """Give what the core is asked; CallError(INVALID) where no node is named."""
    if not wanted.nodes:
        raise CallError(Reason.INVALID, "The check names no node; name one.")
    return AskCheckup(request_id=wanted.request_id, nodes=wanted.nodes, level=wanted.level, actor=actor)


def hold(wanted: HoldRequest, actor: str) -> HoldNodes:
    """Give what the core is asked; CallError(INVALID) where a hold names no node, no reason, or what does not fit."""
    problem = ""
    if not wanted.nodes:
        problem = "it names no node"
    elif not wanted.reason.strip() or len(wanted.reason) > _LONGEST_REASON:
        problem = f"it needs a reason of 1 to {_LONGEST_REASON} characters"
    elif len(wanted.owner) > _LONGEST_OWNER:
        problem = f"the owner's name is longer than {_LONGEST_OWNER} characters"
    elif not 0 <= wanted.deadline_s <= _LONGEST_HOLD_S:
        problem = f"its deadline is 0 to {_LONGEST_HOLD_S:g} s from now, not {wanted.deadline_s:g}"
    elif wanted.kind is not HoldKind.MAINTENANCE and (wanted.reboot or wanted.until_checked):
        problem = f"a {wanted.kind} reboots and checks nothing; use maintenance"
    elif wanted.kind in (HoldKind.CORDON, HoldKind.QUARANTINE) and (
        wanted.deadline_s or wanted.mode is not DrainMode.FINISH
    ):
        problem = f"a {wanted.kind} moves no job; use drain"
    if problem:
        raise CallError(Reason.INVALID, f"The nodes cannot be held: {problem}.")
    return HoldNodes(
        request_id=wanted.request_id,
        nodes=wanted.nodes,
        kind=wanted.kind,
        owner=wanted.owner or actor,
        actor=actor,
        reason=wanted.reason.strip(),
        mode=wanted.mode,
        deadline_s=wanted.deadline_s,
        reboot=wanted.reboot,
        until_checked=wanted.until_checked,
    )


def hold_kind(word: str) -> HoldKind | None:
    """Read the kind of hold that a request names, None for all; CallError(INVALID) if there is no such kind."""
    try:
        return HoldKind(word) if word else None
    except ValueError:
        raise CallError(Reason.INVALID, f"No hold is of kind {word!r:.40}; there are {', '.join(HoldKind)}.") from None


def _problems(spec: JobSpec) -> Iterator[str]:
    if not _NAME.fullmatch(spec.name):
        yield f"its name {spec.name!r:.80} must be 1 to 63 of a-z, 0-9 and '-'"
    if not spec.roles:
        yield "it has no role; give it one"
    names = [role.name for role in spec.roles]
    if len(set(names)) < len(names):
        yield "two of its roles have one name; give each its own"
    for role in spec.roles:
        yield from (f"role {role.name!r:.80} {problem}" for problem in _role_problems(role, names))
    ranks = sum(role.gangs * role.nodes_max * role.nproc_per_node for role in spec.roles)
    if ranks > _MAX_RANKS:
        yield f"it may grow to {ranks} ranks; {_MAX_RANKS} is the most"
    if spec.max_restarts < 0:
        yield f"max_restarts is {spec.max_restarts}; use 0 or more"
    for name in _DURATIONS:
        if getattr(spec, name) < 0:
            yield f"{name} is {getattr(spec, name):g}; use 0 or more"
    if spec.checkpoint_interval_s < 0 and spec.checkpoint_interval_s != -1:
        yield f"checkpoint_interval_s is {spec.checkpoint_interval_s:g}; use 0 or more, or -1 for never"
    if spec.checkpoint_memory_bytes < 0:
        yield f"checkpoint_memory is {spec.checkpoint_memory_bytes} bytes; use 0 or more"
    for name in ("progress_pattern", "checkpoint_pattern"):
        try:
            if re.compile(getattr(spec, name)).groups != 1:
                yield f"{name} must have one group, the step"
        except re.error as error:
            yield f"{name} is not a regular expression ({error})"
    if spec.check not in ("", *CheckLevel):
        yield f"check is {spec.check!r:.40}; use {' or '.join(CheckLevel)}"
    if spec.hang not in ("", OFF, *AutomationStage):
        yield f"hang is {spec.hang!r:.40}; use {', '.join(AutomationStage)} or {OFF}"
    for given in spec.hang_budgets:
        if given.phase not in PATIENCE or given.seconds <= 0:
            yield f"a hang budget is {given.seconds:g} s of {given.phase!r:.40}; use more than 0, of {', '.join(Phase)}"
    if spec.notice_signal and f"SIG{spec.notice_signal}" not in signal.Signals.__members__:
        yield f"notice_signal {spec.notice_signal!r:.40} is no signal; use a name such as USR1"


def _secret_problems(role: RoleSpec) -> Iterator[str]:
    for secret in role.secrets:
        if not _ENV_NAME.fullmatch(secret.name) or secret.name in role.env:
            yield f"has a secret {secret.name!r:.80}, which is no name of an environment variable, or is in env too"
        if bool(secret.file) == bool(secret.credential):
            yield f"has a secret {secret.name:.80} without a file or a credential, or with both"
        if secret.file and (not secret.file.startswith("/") or "\0" in secret.file):
            yield f"has a secret {secret.name:.80} in {secret.file!r:.80}, which is no absolute path"
        if secret.credential and not CREDENTIAL.fullmatch(secret.credential):
            yield f"has a secret {secret.name:.80} with the credential {secret.credential!r:.80}, which is none"


def _role_problems(role: RoleSpec, names: list[str]) -> Iterator[str]:
    if not _NAME.fullmatch(role.name):
        yield "must have a name of 1 to 63 of a-z, 0-9 and '-'"
    if not role.argv or not role.argv[0].startswith("/") or not role.cwd.startswith("/"):
        yield "needs a program and a working directory, both as absolute paths"
    if any("\0" in text for text in (*role.argv, role.cwd, *role.env.values())):
        yield "holds a NUL character; drop it"
    for name in role.env:
        if not _ENV_NAME.fullmatch(name):
            yield f"sets {name!r:.80}, which is no name of an environment variable"
    yield from _secret_problems(role)
    for count in ("gangs", "nodes_min", "node_unit", "nproc_per_node"):
        if getattr(role, count) < 1:
            yield f"has {count} {getattr(role, count)}; use 1 or more"
    if role.nodes_min > role.nodes_max:
        yield f"has nodes_min {role.nodes_min} above nodes_max {role.nodes_max}; use {role.nodes_max}:{role.nodes_min}"
    if role.node_unit > 0 and (role.nodes_min % role.node_unit or role.nodes_max % role.node_unit):
        yield (
            f"has node_unit {role.node_unit}, which does not divide {role.nodes_min}:{role.nodes_max}; "
            f"use {math.ceil(role.nodes_min / role.node_unit) * role.node_unit} nodes"
        )
    for name in role.restart_with:
        if name != "*" and name not in names:
            yield f"restarts with {name!r:.80}, which is no role of the job"
