"""What jobs and incidents look like to people."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dlroverd.cli.output import clock, notice, plain

if TYPE_CHECKING:
    from dlroverd.model.fault import Cause
    from dlroverd.model.view import IncidentView, JobView, PhasesView, RankView

PHASES = ("detected", "stopped", "placed", "started", "first_step", "unknown", "total")
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
    return f"{said} is {job.state}: {job.reason}."


def about(job: "JobView") -> Iterator[str]:
    """Say how a job is, then why it is so if that is not said yet, and why its masters have their addresses."""
    yield head(job)
    if job.state == "running":
        yield f"{job.reason[:1].upper()}{job.reason[1:]}."
    for role in job.roles:
        for gang in role.gangs:
            if gang.network and len({rank.node for rank in gang.ranks}) > 1:
                yield f"Network of {role.name} gang {gang.gang}: {gang.network}."


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
    spent = ", ".join(
        f"{name.replace('_', ' ')} {text}" for name, text in timed(phases) if name != "total" and text != "-"
    )
    return f"recovered in {phases.total or 0.0:.2f} s: {spent}"


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

    def __call__(self, job: "JobView") -> None:
        """Take the next view of the job."""
        if job.state == "queued" and job.reason != self._reason:
            self._reason = job.reason
            self._tell(f"job {job.id} waits: {job.reason}")
        for incident in job.incidents:
            # Final is what is said once the stop has ended, which is when something is done about it.
            if incident.action and self._first(incident.id, "fault"):
                self._tell(fault(incident))
            stepped = incident.phases.first_step is not None and incident.phases.total is not None
            if stepped and self._first(incident.id, "recovery"):
                self._tell(recovery(incident.phases))

    def _first(self, incident: int, what: str) -> bool:
        new = (incident, what) not in self._told
        self._told.add((incident, what))
        return new


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
