"""What jobs and incidents look like to people."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dlroverd.cli import diagnoses
from dlroverd.cli.output import clock, notice, plain, span

if TYPE_CHECKING:
    from dlroverd.model.cadence import CadenceView
    from dlroverd.model.fault import Cause
    from dlroverd.model.view import IncidentView, JobView, PhasesView, RankView

PHASES = ("detect", "stop", "decide", "wait", "start", "load", "recompute", "unknown", "total")
# What a job does with its time (model/ledger.py).
CATEGORIES = ("productive", "checkpointing", "redone", "starting", "restarting", "stopping", "waiting", "unknown")
# What lies between a fault and the first step after it.
RECOVERY = ("detect", "stop", "decide", "wait", "start", "load", "unknown")
FINAL_STATES = ("succeeded", "failed", "cancelled")


def job_document(job: "JobView") -> dict[str, Any]:
    """Give a job as the JSON of `job status`. Without its spec, whose environment is nobody else's affair."""
    content: dict[str, Any] = plain(job)
    del content["spec"]
    return content


def ranks(job: "JobView") -> Iterator["RankView"]:
    """Yield the ranks of all of a job's current worlds."""
    for role in job.roles:
        for gang in role.gangs:
            yield from gang.ranks


def nodes(job: "JobView") -> list[str]:
    """Name the nodes of a job's current worlds, in order of rank."""
    return list(dict.fromkeys(rank.node for rank in ranks(job)))


def step(job: "JobView") -> int:
    """Give the last training step seen, -1 if none was."""
    return max((gang.step for role in job.roles for gang in role.gangs), default=-1)


def head(job: "JobView") -> str:
    """Say in one sentence how a job is."""
    said = f"Job {job.id} ({job.name})"
    count = sum(1 for _ in ranks(job))
    world = f"{_count(count, 'rank')} on {', '.join(_few(nodes(job)))}" if count else ""
    parts = [
        world,
        f"step {step(job)}" if step(job) >= 0 else "",
        _count(job.restarts, "restart") if job.restarts else "",
    ]
    facts = ", ".join(part for part in parts if part)
    match job.state:
        case "running":
            return f"{said} runs since {clock(job.started_at)}: {facts}."
        case "queued" | "placing":
            return f"{said} waits since {clock(job.submitted_at)}: {job.reason}."
        case "succeeded":
            return f"{said} succeeded at {clock(job.finished_at)}: {facts or job.reason}."
        case "failed" | "cancelled":
            return f"{said} {_ended(job)} at {clock(job.finished_at)}: {job.reason.removeprefix('failed: ')}."
    return f"{said} {to_come(job)}."


def about(job: "JobView") -> Iterator[str]:
    """Say how a job is and why, how it grows and saves, why its masters are where they are, and its goodput."""
    yield head(job)
    if job.state == "running":
        said = f"It {reason(job)}" if job.plan is not None else f"{job.reason[:1].upper()}{job.reason[1:]}"
        yield f"{said}."
        yield from diagnoses.sentences(job)
        yield from growth(job)
        yield from cadences(job)
    for role in job.roles:
        for gang in role.gangs:
            if gang.network:
                yield f"Network of {role.name} gang {gang.gang}: {gang.network}."
    if said := goodput(job):
        yield said


def goodput(job: "JobView") -> str:
    """Say how much of its time a job has used for steps that count, and where the rest went; "" if it had no nodes."""
    spent = job.goodput
    if spent is None or not spent.placed_s:
        return ""
    times = [(name, getattr(spent.times, name)) for name in CATEGORIES]
    parts = ", ".join(f"{name} {span(seconds)}" for name, seconds in times if seconds)
    if spent.goodput is None:
        return f"Goodput is not known, as no step of it was seen: {parts}."
    return f"Goodput {share(spent.goodput)} of the {span(spent.placed_s)} since it had its nodes: {parts}."


def share(part: float) -> str:
    """Give a share as 93.1 %."""
    return f"{part * 100:.1f} %"


def cost(incident: "IncidentView") -> str:
    """Say what an incident cost; "" if that is not known."""
    if not incident.nodes:
        return ""
    steps = incident.reached - incident.step + 1 if incident.step >= 0 else 0
    again = f", {_count(steps, 'step')} done again" if steps > 0 else ""
    return f"It cost {incident.cost_node_s:.1f} node-seconds on {_count(incident.nodes, 'node')}{again}."


def to_come(job: "JobView") -> str:
    """Say whether and when a job is stopped on purpose, else how it is; without its number, to follow "job 3"."""
    plan = job.plan
    if plan is None:
        return f"is {job.state}: {job.reason}"
    if plan.stopping or job.state != "running":
        return f"is being stopped: {plan.reason}"
    if plan.kind == "time_limit":
        return f"stops at {clock(plan.by)}: {plan.reason}"
    return f"stops at its next checkpoint, at {clock(plan.by)} at the latest: {plan.reason}"


def reason(job: "JobView") -> str:
    """Say why a job is in its state, with the time of a stop that is planned."""
    return to_come(job) if job.plan is not None else job.reason


def growth(job: "JobView") -> Iterator[str]:
    """Say of each gang that has fewer nodes or spares than it may have why that is so."""
    for role in job.roles:
        for gang in role.gangs:
            if gang.growth and gang.growth != job.reason:
                yield f"{role.name} gang {gang.gang} {gang.growth}."
            if gang.spares:
                kept = _count(len(gang.spares), "spare")
                yield f"{kept} kept for {role.name} gang {gang.gang}: {', '.join(_few(list(gang.spares)))}."


def cadences(job: "JobView") -> Iterator[str]:
    """Say of each gang whose ranks ask whether to save how often they do, and why."""
    for role in job.roles:
        for gang in role.gangs:
            if gang.cadence is not None:
                said = f"{role.name} gang {gang.gang} saves every {_cadence(gang.cadence)}."
                yield f"{said[:1].upper()}{said[1:]}"


def _cadence(cadence: "CadenceView") -> str:
    said = f"{span(cadence.interval_s)} ({_count(cadence.every, 'step')})"
    if not cadence.mtbf_s:
        return f"{said}, as its job says"
    save = f"a save takes {cadence.save_s:.2g} s{'' if cadence.save_known else ' (assumed)'}"
    restart = f"a restart {span(cadence.restart_s)}{'' if cadence.restart_known else ' (assumed)'}"
    fails = f"it is expected to fail every {span(cadence.mtbf_s)}"
    return f"{said}: {save}, {restart}, and {fails}, which costs {share(cadence.lost_ratio)} of its time"


def ending(job: "JobView") -> str:
    """Say how a job ended that did not succeed."""
    return f"job {job.id} {_ended(job)}: {job.reason.removeprefix('failed: ')}"


def _ended(job: "JobView") -> str:
    return "was cancelled" if job.state == "cancelled" else "failed"


def fault(incident: "IncidentView") -> str:
    """Say what ended a world, and what was done about it."""
    said = incident.cause.sentence if incident.cause is not None else "the cause is not known yet"
    if not incident.action or incident.action.startswith("failed: "):
        return said
    return f"{said}; {incident.action}"


def drill(incident: "IncidentView") -> str:
    """Say who had a fault made: the view's `kill_rank ordered by ann`."""
    kind, _, whose = incident.drill.partition(" ")
    return f"a drill ({kind}) {whose}"


def recovery(phases: "PhasesView") -> str:
    """Say how long a recovery took, and where the time went."""
    spent = ", ".join(f"{name} {text}" for name, text in timed(phases) if name in RECOVERY and text != "-")
    return f"recovered in {recovery_s(phases):.2f} s: {spent}"


def recovery_s(phases: "PhasesView") -> float:
    """Give the seconds between a fault and the first step after it, as far as it got."""
    return sum(getattr(phases, name) or 0.0 for name in RECOVERY)


def timed(phases: "PhasesView") -> list[tuple[str, str]]:
    """Give an incident's phases by name, in seconds; "-" for one that was not reached or not seen."""
    values = [(name, getattr(phases, name)) for name in PHASES]
    # Adding zero takes the sign from a negative one, which rounding can leave.
    return [(name, "-" if value is None else f"{round(value, 2) + 0.0:.2f}") for name, value in values]


def detail(cause: "Cause") -> str:
    """Give a rank's own last words: its error's text, else the end of its output."""
    if cause.exit is None:
        return ""
    return ((cause.exit.error.text if cause.exit.error is not None else "") or cause.exit.output_tail).rstrip()


class Notices:
    """Tells people of what befalls a job while they watch it, each thing once."""

    def __init__(self, tell: Callable[[str], None] = notice) -> None:
        """Tell them with `tell`."""
        self._tell = tell
        self._told: set[tuple[int, str]] = set()
        self._reason = ""
        self._planned = ""

    def __call__(self, job: "JobView") -> None:
        """Take the next view of the job."""
        if job.state == "queued" and job.reason != self._reason:
            self._reason = job.reason
            self._tell(f"job {job.id} waits: {job.reason}")
        planned = job.plan is not None or job.state == "suspended"
        if planned and (said := to_come(job)) != self._planned:
            self._tell(f"job {job.id} {said}")
        self._planned = to_come(job) if planned else ""
        for incident in job.incidents:
            # Final is what is said once the stop has ended, which is when something is done about it.
            if incident.action and self._first(incident.id, "fault"):
                self._tell(fault(incident))
            if incident.step >= 0 and self._first(incident.id, "recovery"):
                self._tell(recovery(incident.phases))

    def _first(self, incident: int, what: str) -> bool:
        new = (incident, what) not in self._told
        self._told.add((incident, what))
        return new


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
