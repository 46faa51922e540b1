"""`dlroverctl job stacks`: what the ranks of a job are at right now."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.stacks import shown

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.command("stacks")
@options.job
@click.option("--rank", "ranks", multiple=True, type=click.IntRange(min=0), help="Only this rank; may be repeated.")
@click.option("--role", help="Only ranks of this role.")
@options.output("text", "json", "yaml")
@options.address
def command(job: int, ranks: "Iterable[int]", role: str | None, output_: str, address: str | None) -> None:
    """Show what the main threads of ranks are at, those at the same place together. -o json has all threads.

    Each rank is looked at three times within two seconds, by its agent and without its help (py-spy): one that hangs is
    seen as well as one that works, and goes on as before. Of ranks that wait in collectives it is said who is missing,
    where torch's flight recorder tells.
    """
    with options.connect(address) as client:
        stacks = client.stacks(job, role=role, ranks=ranks)
    if output_ == "text":
        for line in shown(stacks):
            click.echo(line)
    else:
        output.document("stacks", {"job": job, "ranks": [output.plain(stack) for stack in stacks]}, output_)
