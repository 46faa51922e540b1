"""`dlroverctl job why`: one true answer to why a job is as it is."""

from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output, sentences
from dlroverd.cli.job.status import show_incidents

if TYPE_CHECKING:
    from dlroverd.model.fault import Cause
    from dlroverd.model.view import IncidentView, JobView


@click.command("why")
@options.job
@options.output("text", "json", "yaml")
@options.address
def command(job: int, output_: str, address: str | None) -> None:
    """Say why a job waits, failed or was restarted: the first cause, and what died of it."""
    with options.connect(address) as client:
        view = client.job(job)
    if output_ == "text":
        _say(view)
    else:
        output.document("why", _document(view), output_)


def _document(job: "JobView") -> dict[str, Any]:
    """Give the newest incident's cause and victims beside all incidents."""
    content = sentences.job_document(job)
    newest = content["incidents"][-1] if content["incidents"] else {}
    return {
        **{key: content[key] for key in ("id", "name", "state", "reason")},
        "sentence": sentences.head(job),
        "cause": newest.get("cause"),
        "victims": newest.get("victims", []),
        "incidents": content["incidents"],
    }


def _say(job: "JobView") -> None:
    for line in sentences.about(job):
        click.echo(line)
    if not job.incidents:
        return
    newest = job.incidents[-1]
    if newest.cause is not None:
        click.echo()
        _say_cause(newest, newest.cause)
    show_incidents(job)


def _say_cause(incident: "IncidentView", cause: "Cause") -> None:
    click.echo(f"First cause: {cause.sentence}.")
    if detail := sentences.detail(cause):
        click.echo(f"Its last words:\n{_indented(detail)}")
    for victim in incident.victims:
        click.echo(f"Died of it: {victim.sentence}.")
    if incident.action:
        click.echo(f"Done about it: {incident.action}.")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines()[-20:])
