"""`dlroverctl job suspend`: stop jobs and keep them."""

import click

from dlroverd.cli import options, sentences
from dlroverd.cli.output import notice


@click.command("suspend")
@click.argument("jobs", type=click.IntRange(min=1), nargs=-1, required=True, metavar="JOB...")
@options.within
@options.address
def command(jobs: tuple[int, ...], within_s: float, address: str | None) -> None:
    """Stop jobs and free their nodes for others, until `job resume`.

    Their ranks are ended (not frozen by SIGSTOP) and start anew later, from their last checkpoint if they keep any. A
    job that tells of checkpoints is stopped after its next one; one that asks whether to save is told to.
    """
    with options.connect(address) as client:
        for job in jobs:
            client.suspend(job, within_s=within_s)
            notice(f"job {job} {sentences.to_come(client.job(job))}; its nodes become free for others")
