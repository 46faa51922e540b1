"""`dlroverctl job status`: one job, its worlds and what befell it."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import hangs, options, output, readings, sentences

if TYPE_CHECKING:
    from dlroverd.model.view import JobView


@click.command("status")
@options.job
@options.output(*output.FORMATS)
@options.address
def command(job: int, output_: str, address: str | None) -> None:
    """Show a job: its ranks, and its incidents in phases."""
    with options.connect(address) as client:
        view = client.job(job)
    if output_ in ("table", "wide"):
        for line in sentences.about(view):
            click.echo(line)
        if said := readings.of_job(view):
            click.echo(said)
        for line in hangs.watched(view):
            click.echo(line)
        _show_ranks(view, wide=output_ == "wide")
        show_incidents(view)
    else:
        output.document("job", sentences.job_document(view), output_)


def _show_ranks(job: "JobView", *, wide: bool) -> None:
    told = any(rank.readings is not None for rank in sentences.ranks(job))
    titles = [
        *("ROLE", "GANG", "ROUND", "RANK", "NODE", "STATE", "EXIT"),
        *(readings.TITLES if told else ()),
        *(("LOCAL", "PID", "MASTER") if wide else ()),
    ]
    rows = [
        [
            *(role.name, str(gang.gang), str(gang.round), str(rank.rank), rank.node, rank.state, rank.exit or "-"),
            *(readings.of_rank(rank) if told else ()),
            *((str(rank.local_rank), str(rank.pid or "-"), gang.master) if wide else ()),
        ]
        for role in job.roles
        for gang in role.gangs
        for rank in gang.ranks
    ]
    if rows:
        click.echo()
        output.table(titles, rows)


def show_incidents(job: "JobView") -> None:
    """Show what befell a job: each incident's sentence, and all of them as timed phases."""
    if not job.incidents:
        return
    click.echo()
    for incident in job.incidents:
        said = [f"Incident {incident.id} at {output.clock(incident.began_at)}: {sentences.fault(incident)}."]
        if incident.drill:
            said.append(f"It was {sentences.drill(incident)}.")
        if cost := sentences.cost(incident):
            said.append(cost)
        click.echo(" ".join(said))
    click.echo()
    titles = ["INCIDENT", *(name.replace("_", " ").upper() for name in sentences.PHASES), "STEP"]
    rows = [
        [
            str(incident.id),
            *(text for _, text in sentences.timed(incident.phases)),
            str(incident.step) if incident.step >= 0 else "-",
        ]
        for incident in job.incidents
    ]
    output.table(titles, rows)
