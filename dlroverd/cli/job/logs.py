"""`dlroverctl job logs`: the output of a job's ranks."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, sentences
from dlroverd.cli.endings import Exit
from dlroverd.cli.following import read_output
from dlroverd.cli.output import notice
from dlroverd.cli.printing import NO_PREFIX, Lines, Prefix, printer

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.ids import RankKey
    from dlroverd.model.view import IncidentView, JobView, LogChunk
    from dlroverd.protocol.messages import LogFailed

_MOST_RANKS = 100_000
_AROUND_LINES = 20
_ALL = 0


def _named_ranks(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> frozenset[int]:
    """Read `0,3-5`."""
    named: set[int] = set()
    for part in ",".join(values).split(",") if values else ():
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) <= _MOST_RANKS):
            raise click.BadParameter(f"'{part}' names no rank; write 3, or 0,3-5")
        named.update(range(int(first), int(last) + 1))
    return frozenset(named)


def _named_round(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Read a round's number; `all` is 0."""
    if value is None:
        return None
    if value == "all":
        return _ALL
    if not (value.isdecimal() and int(value) > 0):
        raise click.BadParameter(f"'{value}' names no round; write 1 or a higher number, or all")
    return int(value)


@click.command("logs")
@options.job
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, through its restarts.")
@click.option("--rank", "ranks", callback=_named_ranks, multiple=True, metavar="RANKS", help="Only these: 3, or 0,3-5.")
@click.option("--role", help="Only this role.")
@click.option("--gang", type=click.IntRange(min=0), help="Only this gang.")
@click.option("--node", help="Only what ran on this node.")
@click.option(
    "--round", "round_", callback=_named_round, metavar="ROUND|all", help="This round instead of the current one."
)
@click.option("--tail", type=click.IntRange(min=0), metavar="LINES", help="Only the last so many lines of each rank.")
@options.since("Only what was written since then, to about a second")
@click.option("--first-error", is_flag=True, help="Only the error that was first, with the lines before it.")
@click.option("--no-prefix", is_flag=True, help="Leave out the node and rank before each line.")
@options.address
def command(
    job: int,
    *,
    follow: bool,
    ranks: frozenset[int],
    role: str | None,
    gang: int | None,
    node: str | None,
    round_: int | None,
    tail: int | None,
    since: float | None,
    first_error: bool,
    no_prefix: bool,
    address: str | None,
) -> int:
    """Print the output of a job's ranks, stdout and stderr in the order they were written."""
    if first_error and (follow or ranks or role or gang is not None or node or since is not None):
        raise click.UsageError("--first-error finds the rank by itself: give it at most --round and --tail.")
    with options.connect(address) as client:
        view = client.job(job)
        if first_error:
            complete = _first_errors(client, view, round_, _AROUND_LINES if tail is None else tail)
            return Exit.DONE if complete else Exit.REFUSED
        shown = [
            (name, number, rank, at)
            for name, number, rank, at in _ranks(view)
            if role in (None, name) and gang in (None, number) and node in (None, at) and (not ranks or rank in ranks)
        ]
        prefix = Prefix(
            (each[:3] for each in shown), with_node=len({at for *_, at in shown}) > 1, with_round=round_ == _ALL
        )

        def ask(known: "dict[RankKey, int]") -> "Iterator[LogChunk | LogFailed]":
            return client.logs(
                job,
                role=role,
                gang=gang,
                ranks=ranks,
                node=node,
                round_=round_ or None,
                all_rounds=round_ == _ALL,
                follow=follow,
                tail_lines=tail,
                since=since,
                known=known,
            )

        complete = read_output(job, ask, printer(NO_PREFIX if no_prefix else prefix), follow=follow)
    return Exit.DONE if complete else Exit.REFUSED


def _ranks(job: "JobView") -> "Iterator[tuple[str, int, int, str]]":
    for role in job.roles:
        for gang in role.gangs:
            for rank in gang.ranks:
                yield role.name, gang.gang, rank.rank, rank.node


def _first_errors(client: "Client", job: "JobView", round_: int | None, tail: int) -> bool:
    """Print what ended the newest world that failed, or those that are asked for; False if something is missing."""
    incidents: Iterable[IncidentView] = [each for each in job.incidents if round_ in (None, _ALL, each.round)]
    if not incidents:
        notice(f"job {job.id} had no fault" + (f" in round {round_}" if round_ else ""))
        return True
    if round_ is None:
        incidents = job.incidents[-1:]
    complete = True
    for each in incidents:
        complete = _first_error(client, job.id, each, tail) and complete
    return complete


def _first_error(client: "Client", job: int, incident: "IncidentView", tail: int) -> bool:
    cause = incident.cause
    if cause is None:
        click.echo(f"Round {incident.round}: the cause is not known yet.")
        return True
    # A node that was lost has no rank that is to blame: what all of its ranks last said.
    role, gang, rank = (cause.rank.role, cause.rank.gang, cause.rank.rank) if cause.rank else (None, None, None)
    found: list[bytes] = []

    def collect(chunk: "LogChunk", lines: list[bytes]) -> None:
        start = b"" if rank is not None else f"[rank{chunk.rank}] ".encode()
        found.extend(start + line for line in lines)

    def ask(_: object) -> "Iterator[LogChunk | LogFailed]":
        return client.logs(
            job,
            role=role or incident.role,
            gang=incident.gang if gang is None else gang,
            ranks=[] if rank is None else [rank],
            node=cause.node or None,
            round_=incident.round,
            tail_lines=tail,
        )

    click.echo(f"Round {incident.round}: {cause.sentence}.")
    complete = read_output(job, ask, Lines(collect), follow=False)
    output = b"\n".join(found)
    said = sentences.detail(cause)
    if said and said.splitlines()[-1].encode() not in output:
        click.echo(said)
    if output:
        click.echo(output)
    return complete
