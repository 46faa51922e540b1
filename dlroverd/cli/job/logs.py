"""`dlroverctl job logs`: the output of a job's ranks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from dlroverd.cli import options
from dlroverd.cli.endings import Exit
from dlroverd.cli.following import asked_again, read_output
from dlroverd.cli.printing import NO_PREFIX, Prefix, printer

if TYPE_CHECKING:
    from dlroverd.model.view import JobView, LogChunk
    from dlroverd.protocol.messages import LogFailed


@click.command("logs")
@options.job
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, through its restarts.")
@click.option("--rank", "ranks", type=click.IntRange(min=0), multiple=True, help="Only this rank; may be repeated.")
@click.option("--role", help="Only this role.")
@click.option("--gang", type=click.IntRange(min=0), help="Only this gang.")
@click.option("--node", help="Only what ran on this node.")
@click.option("--round", "round_", type=click.IntRange(min=1), help="This round instead of the current one.")
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many lines of each rank.")
@click.option("--no-prefix", is_flag=True, help="Leave out the rank before each line.")
@options.address
def command(
    job: int,
    *,
    follow: bool,
    ranks: tuple[int, ...],
    role: str | None,
    gang: int | None,
    node: str | None,
    round_: int | None,
    tail: int | None,
    no_prefix: bool,
    address: str | None,
) -> int:
    """Print the output of a job's ranks, stdout and stderr in the order they were written."""
    with options.connect(address) as client:
        view = client.job(job)
        shown = [
            (name, number, rank)
            for name, number, rank, at in _ranks(view)
            if role in (None, name) and gang in (None, number) and node in (None, at) and (not ranks or rank in ranks)
        ]
        write = printer(NO_PREFIX if no_prefix else Prefix(shown))

        def ask() -> "Iterator[LogChunk | LogFailed]":
            return client.logs(
                job, role=role, gang=gang, ranks=ranks, node=node, round_=round_, follow=follow, tail_lines=tail
            )

        complete = read_output(asked_again(ask) if follow else ask(), write)
    return Exit.DONE if complete else Exit.REFUSED


def _ranks(job: "JobView") -> "Iterator[tuple[str, int, int, str]]":
    for role in job.roles:
        for gang in role.gangs:
            for rank in gang.ranks:
                yield role.name, gang.gang, rank.rank, rank.node
