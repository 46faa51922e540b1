"""`dlroverctl job why`: one true answer to why a job is as it is."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import hangs, options, output, sentences
from dlroverd.cli.job import first_cause

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.fault import Cause
    from dlroverd.model.kernel_log import KernelLog
    from dlroverd.model.view import DryRunView, IncidentView, JobView

_EARLIER = 10


@click.command("why")
@options.job
@options.output("text", "json", "yaml")
@options.address
def command(job: int, output_: str, address: str | None) -> None:
    """Say why a job waits, failed or was restarted.

    Of its newest incident: the first cause, by what it is known, what died of it, its last lines, what was done, and
    what to do next. Of one that waits: which nodes it cannot have, and why.
    """
    with options.connect(address) as client:
        known = look(client, job)
    if output_ == "text":
        for line in lines(known):
            click.echo(line)
    else:
        output.document("why", document(known), output_)


@dataclass(frozen=True, slots=True)
class Known:
    """What an answer is made of. `waits` is there for a job that waits, `kernels` for one that had an incident."""

    job: "JobView"
    waits: "DryRunView | None" = None
    kernels: "tuple[KernelLog, ...]" = ()


def look(client: "Client", job: int) -> Known:
    """Ask for a job, for the nodes it cannot have if it waits, and for what kernels said around its last incident."""
    view = client.job(job)
    newest = view.incidents[-1] if view.incidents else None
    return Known(view, _rejections(client, view), _kernels(client, view, newest) if newest is not None else ())


def _rejections(client: "Client", job: "JobView") -> "DryRunView | None":
    """Ask as if the job were submitted now; another's spec need not be shown to everyone, and is not missed."""
    from dlroverd.protocol.errors import CallError, Reason

    if job.state not in ("queued", "placing"):
        return None
    try:
        spec = client.job(job.id, with_spec=True).spec
        return client.dry_run(spec) if spec is not None else None
    except CallError as error:
        if error.reason is Reason.UNAVAILABLE:
            raise
        return None


def _kernels(client: "Client", job: "JobView", incident: "IncidentView") -> "tuple[KernelLog, ...]":
    """Ask what kernels said; a daemon that does not show it says why."""
    from dlroverd.model.kernel_log import KernelLog, KernelWindow
    from dlroverd.protocol.errors import CallError, Reason

    if incident.cause is None or not incident.cause.node:
        return ()
    try:
        return tuple(client.kernel_logs(job.id, incident.id))
    except CallError as error:
        if error.reason is Reason.UNAVAILABLE:
            raise
        window = KernelWindow(since=incident.began_at, until=incident.began_at)
        return (KernelLog(node=incident.cause.node, window=window, problem=error.sentence.rstrip(".")),)


def document(known: Known) -> dict[str, Any]:
    """Give the newest incident's cause and all that is said of it beside all incidents."""
    job, waits = known.job, known.waits
    content = sentences.job_document(job)
    newest = job.incidents[-1] if job.incidents else None
    cause = newest.cause if newest is not None else None
    shown = content["incidents"][-1] if content["incidents"] else {}
    return {
        **{key: content[key] for key in ("id", "name", "state", "reason")},
        "sentence": sentences.head(job),
        "cause": shown.get("cause"),
        "headline": first_cause.headline(cause) if cause is not None else "",
        "evidence": first_cause.evidence(cause) if cause is not None else "",
        "last_lines": first_cause.last_lines(cause) if cause is not None else "",
        "victims": shown.get("victims", []),
        "kernel": [output.plain(log) for log in known.kernels],
        "done": first_cause.done(newest) if newest is not None else "",
        "to_do": list(first_cause.to_do(job, newest)) if newest is not None else [],
        "rejected": output.plain(waits)["rejected"] if waits is not None else [],
        "incidents": content["incidents"],
    }


def lines(known: Known) -> list[str]:
    """Give what people read."""
    from dlroverd.cli.dry_run import rejected

    job, waits = known.job, known.waits
    said = list(sentences.about(job))
    if waits is not None:
        said += rejected(waits)
    said += hangs.found(job)
    if job.incidents:
        said += ["", *_of_incident(job, job.incidents[-1], known.kernels[:1])]
    if earlier := job.incidents[:-1]:
        left_out = len(earlier) - _EARLIER
        said += ["", f"Before that{f', and {left_out} more before those' if left_out > 0 else ''}:"]
        said += [_earlier(incident) for incident in reversed(earlier[-_EARLIER:])]
    return said


def _of_incident(job: "JobView", incident: "IncidentView", kernels: "Iterable[KernelLog]") -> list[str]:
    said = [f"Incident {incident.id} at {output.clock(incident.began_at)}, round {incident.round}."]
    if incident.drill:
        said[0] += f" It was {sentences.drill(incident)}."
    if incident.cause is not None:
        said += _of_cause(incident.cause)
    said += [line for log in kernels for line in first_cause.kernel(log)]
    said += [f"Died of it: {each}." for each in first_cause.victims(incident)]
    if done := first_cause.done(incident):
        said.append(f"Done about it: {done}.")
    if cost := sentences.cost(incident):
        said.append(cost)
    return said + [f"To do: {each}." for each in first_cause.to_do(job, incident)]


def _of_cause(cause: "Cause") -> list[str]:
    said = [f"First cause: {first_cause.headline(cause)}. Evidence: {first_cause.evidence(cause)}."]
    if words := first_cause.last_lines(cause):
        said += ["Its last words:", *(f"    {line}" for line in words.splitlines())]
    return said


def _earlier(incident: "IncidentView") -> str:
    cause = first_cause.headline(incident.cause) if incident.cause is not None else "the cause is not known"
    return f"    incident {incident.id} at {output.clock(incident.began_at)}: {cause}; {incident.action or 'no action'}"
