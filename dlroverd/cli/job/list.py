"""`dlroverctl job list`: all jobs."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output, sentences
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.view import JobView


def _step(job: "JobView") -> str:
    step = sentences.step(job)
    return str(step) if step >= 0 else "-"


_COLUMNS: "tuple[Column[JobView], ...]" = (
    Column("ID", lambda job: str(job.id)),
    Column("NAME", lambda job: job.name),
    Column("USER", lambda job: job.user, wide=True),
    Column("PRIORITY", lambda job: str(job.priority), wide=True),
    Column("STATE", lambda job: job.state),
    Column("RANKS", lambda job: str(sum(1 for _ in sentences.ranks(job)) or "-")),
    Column("NODES", lambda job: ",".join(sentences.nodes(job)) or "-"),
    Column("STEP", _step, wide=True),
    Column("RESTARTS", lambda job: str(job.restarts)),
    Column("AGE", lambda job: output.age(job.submitted_at)),
    Column("REASON", sentences.reason),
)


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List jobs, with why each is in its state."""
    with options.connect(address) as client:
        jobs = client.jobs()
    if output_ in ("table", "wide"):
        output.listing("jobs", jobs, _COLUMNS, output_)
    else:
        output.document("jobs", {"jobs": [sentences.job_document(job) for job in jobs]}, output_)
