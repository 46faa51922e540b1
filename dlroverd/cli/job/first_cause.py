"""An incident's first cause as people read it: what it was, by what it is known, what died of it, and what to do."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlroverd.cli import sentences
from dlroverd.cli.output import clock

if TYPE_CHECKING:
    from dlroverd.model.fault import Cause, ExitInfo
    from dlroverd.model.kernel_log import KernelLog
    from dlroverd.model.view import IncidentView, JobView

_SAID_BY = {
    "error_file": "the error file it wrote",
    "traceback": "the traceback it printed",
    "terminate": "what C++ printed as it ended",
}
# How the daemon knows what is no rank's end, by how the rule's name begins (docs/failures.md).
_SEEN_BY = {
    "node.": "no sign of life of that node, and a second sign",
    "domain.": "no sign of life of these nodes",
    "device.": "its agent no longer finds it",
    "check.": "what its nodes found before the start",
    "start.": "no report that these ranks run",
    "hang": "the stacks of its ranks, taken before anything was stopped",
    "operator": "the order in the log",
}
_FAILED = "failed: "
_LAST_LINES = 20
_MOST_OF_A_VICTIM = 200
# Kinds of cause for which the node is the next thing to look at.
_ABOUT_NODES = frozenset(
    {"node_lost", "device_lost", "device_error", "device_crash", "vanished", "network", "no_path", "check_failed"}
)


def headline(cause: "Cause") -> str:
    """Say in one line which rank, node and device it was, why, and by what that is known; no full stop."""
    said = cause.sentence.removesuffix(f"; {cause.remedy}") if cause.remedy else cause.sentence
    if cause.device and cause.device not in said:
        rank = f"rank {cause.rank.rank} on {cause.node}" if cause.rank is not None else ""
        said = said.replace(rank, f"{rank} (device {cause.device})", 1) if rank else f"{said} (device {cause.device})"
    return said


def evidence(cause: "Cause") -> str:
    """Say by what a cause is known, and which rule of docs/failures.md made it of that."""
    by = _of_end(cause.exit) if cause.exit is not None else ""
    by = by or next((seen for begin, seen in _SEEN_BY.items() if cause.rule.startswith(begin)), "")
    return f"{by} (rule {cause.rule})" if by else f"rule {cause.rule}"


def _of_end(exit_: "ExitInfo") -> str:
    if exit_.launch_error:
        return "it was never started"
    if exit_.lost:
        return f"how it ended could not be learnt: {exit_.lost}"
    how = f"signal {exit_.signal}" if exit_.signal is not None else f"exit code {exit_.code}"
    if exit_.result not in ("", "signal", "exit-code"):
        how += f", systemd's word {exit_.result}"
    where = f" after step {exit_.step}" if exit_.step >= 0 else ""
    said = f" and {_SAID_BY[exit_.error.source]}" if exit_.error and exit_.error.source in _SAID_BY else ""
    return f"it ended by {how} at {clock(exit_.exited_at)}{where}{said}"


def last_lines(cause: "Cause") -> str:
    """Give the culprit's last lines; "" if it said nothing, or is no rank."""
    return "\n".join(sentences.detail(cause).splitlines()[-_LAST_LINES:])


def kernel(log: "KernelLog", most: int = _LAST_LINES) -> Iterator[str]:
    """Say what a node's kernel said around an incident, its last lines if there are many."""
    when = f"from {clock(log.window.since)} to {clock(log.window.until)}"
    if log.problem:
        yield f"Kernel lines cannot be had: {log.problem}."
    elif not log.lines:
        yield f"The kernel of {log.node} said nothing {when}."
    else:
        newest = ", the newest of more" if log.cut or len(log.lines) > most else ""
        yield f"The kernel of {log.node} {when}{newest}:"
        yield from (f"    {clock(line.at)} {line.text}" for line in log.lines[-most:])


def victims(incident: "IncidentView") -> Iterator[str]:
    """Say what died of the cause, ranks that ended in the same way in one line."""
    alike: dict[tuple[str, str], list[Cause]] = {}
    for victim in incident.victims:
        alike.setdefault((victim.kind, victim.rule), []).append(victim)
    for first, *others in alike.values():
        said = first.sentence
        said = said if len(said) <= _MOST_OF_A_VICTIM else f"{said[: _MOST_OF_A_VICTIM - 1].rstrip()}…"
        if likewise := ", ".join(_who(each) for each in sorted(others, key=_number)):
            said += f"; likewise {likewise}"
        yield said


def _number(victim: "Cause") -> tuple[int, str]:
    return (victim.rank.rank if victim.rank is not None else -1, victim.node)


def _who(victim: "Cause") -> str:
    return f"rank {victim.rank.rank} on {victim.node}" if victim.rank is not None else victim.node


def done(incident: "IncidentView") -> str:
    """Say what was done about an incident, and whether it worked; "" if nothing was yet."""
    if not incident.action:
        return ""
    if incident.action.startswith(_FAILED):
        why = incident.action.removeprefix(_FAILED)
        if incident.cause is not None:
            why = why.removeprefix(incident.cause.sentence).removeprefix("; ")
        return f"the job was ended as failed{f': {why}' if why else ''}"
    if incident.step >= 0:
        again = f"step {incident.step} came {sentences.recovery_s(incident.phases):.1f} s after the fault"
        return f"{incident.action}; {again}"
    return f"{incident.action}; {'its next step is awaited' if incident.open else 'no step was seen since'}"


def to_do(job: "JobView", incident: "IncidentView") -> Iterator[str]:
    """Say what a person may do next, the most telling first."""
    cause = incident.cause
    if cause is None:
        yield "wait: the cause is named once its ranks have been stopped"
        return
    if incident.step >= 0 and job.state == "running":
        yield "nothing for this job: it trains again"
    if cause.remedy:
        yield f"{cause.remedy}{'; then submit it again' if job.state == 'failed' else ''}"
    if cause.rank is not None:
        role = f" --role {cause.rank.role} --gang {cause.rank.gang}" if _has_several(job) else ""
        yield (
            f"`dlroverctl job logs {job.id} --round {cause.rank.round}{role} --rank {cause.rank.rank}` "
            "has all that it printed"
        )
    if cause.node and cause.kind in _ABOUT_NODES:
        yield f"`dlroverctl node why {cause.node}` says how that node is"


def _has_several(job: "JobView") -> bool:
    return sum(len(role.gangs) for role in job.roles) > 1
