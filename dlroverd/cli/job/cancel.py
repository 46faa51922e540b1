"""`dlroverctl job cancel`: end jobs."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("cancel")
@click.argument("jobs", type=click.IntRange(min=1), nargs=-1, required=True, metavar="JOB...")
@options.address
def command(jobs: tuple[int, ...], address: str | None) -> None:
    """End jobs: TERM, and KILL after their grace. Returns at once; `job status` tells when they are gone."""
    with options.connect(address) as client:
        for job in jobs:
            client.cancel(job)
            notice(f"job {job} is being cancelled")
