"""`dlroverctl job restart`: give a running job a new round."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("restart")
@options.job
@options.address
def command(job: int, address: str | None) -> None:
    """Stop a running job's ranks and start them anew, at no cost to its restarts."""
    with options.connect(address) as client:
        client.restart(job)
    notice(f"job {job} is being restarted")
