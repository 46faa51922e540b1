"""`dlroverctl job wait`: return when a job is over, as it ended."""

import click

from dlroverd.cli import endings, following, options, sentences


@click.command("wait")
@options.job
@options.address
def command(job: int, address: str | None) -> int:
    """Wait for a job's end and exit as it did: 0, 5 if it failed or was cancelled, 6 if it gave up retrying.

    A daemon that is restarted meanwhile is waited for. Ctrl-C ends the waiting alone.
    """
    with options.connect(address) as client:
        last = following.wait(client, job, lambda _: None)
    if last.state != "succeeded":
        raise endings.CommandError(sentences.ending(last), endings.of_job(last))
    return endings.Exit.DONE
