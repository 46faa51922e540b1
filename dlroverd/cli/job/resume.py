"""`dlroverctl job resume`: let suspended jobs go on."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("resume")
@click.argument("jobs", type=click.IntRange(min=1), nargs=-1, required=True, metavar="JOB...")
@options.address
def command(jobs: tuple[int, ...], address: str | None) -> None:
    """Let suspended jobs go on as soon as there are nodes; a suspension that has not begun is called off."""
    with options.connect(address) as client:
        for job in jobs:
            client.resume(job)
            view = client.job(job)
            notice(f"job {job} goes on: it is {view.state}, {view.reason}")
