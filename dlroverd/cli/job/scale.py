"""`dlroverctl job scale`: give a job more nodes, or fewer."""

import click

from dlroverd.cli import options, sentences
from dlroverd.cli.output import notice


@click.command("scale")
@options.job
@click.option("-N", "--nnodes", required=True, metavar="N|MIN:MAX", help="How many nodes a gang may have.")
@click.option("--role", default="", metavar="NAME", help="Of which role; needed where the job has several.")
@options.within
@options.address
def command(job: int, nnodes: str, role: str, within_s: float, address: str | None) -> None:
    """Change how many nodes a job may have.

    If it runs on another number it is stopped, after its next checkpoint if it tells of any, and goes on with a legal
    one.
    """
    from dlroverd.config.jobfile import parse_nodes

    try:
        low, high = parse_nodes(nnodes)
    except ValueError as error:
        raise click.UsageError(f"--nnodes {error}.") from None
    with options.connect(address) as client:
        client.scale(job, low, high, role=role, within_s=within_s)
        notice(f"job {job} may have {nnodes} nodes; it {sentences.to_come(client.job(job))}")
