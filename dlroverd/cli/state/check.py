"""`dlroverctl state check`: what the log wants, what is recorded of it and what runs, held against each other."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.endings import Exit
from dlroverd.cli.output import Column, clock
from dlroverd.protocol.errors import CallError, Reason

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.view import NodeDetail, NodeView

_HEARD = ("ready",)
# A second survey, 2 s after the first, makes a difference sure; and a call of the client's has a limit.
_SURVEY_S = 7.0


@dataclass(frozen=True)
class Row:
    """One thing that is not as it should be; `mended` is what was done about it, "" if it is so still."""

    where: str
    kind: str
    what: str
    mended: str
    at: float


_COLUMNS: tuple[Column[Row], ...] = (
    Column("WHERE", lambda row: row.where),
    Column("SINCE", lambda row: clock(row.at)),
    Column("DIFFERENCE", lambda row: row.kind),
    Column("WHAT", lambda row: row.what),
    Column("MENDED", lambda row: row.mended or "no"),
)


@click.command("check")
@options.since("Differences that were found and mended since then; 1h ago if not given")
@options.output(*output.FORMATS)
@options.address
def command(since: float | None, output_: str, address: str | None) -> None:
    """Hold what should run against what is recorded and what nodes say that they run; exit code 1 if it differs now.

    Every connected node is audited and looks once more what really runs on it; up to 7 s are given for that. They do
    so at intervals by themselves (docs/self-repair.md): this shows what that found since and what of it is so still,
    nodes whose ranks are not known, and ranks and jobs that no one answers for. Who may only look sees what was found
    by then.
    """
    after = time.time() - 3600.0 if since is None else since
    with options.connect(address) as client:
        rows = [row for row in _rows(client) if not row.mended or row.at >= after]
    output.listing("differences", rows, _COLUMNS, output_)
    if any(not row.mended for row in rows):
        raise click.exceptions.Exit(Exit.REFUSED)


def _rows(client: "Client") -> Iterator[Row]:
    for node in _looked_at(client):
        yield from _of_node(node)
        yield from _found(client.node(node.id))
    for job in client.jobs():
        if job.state == "suspended" and job.reason.startswith("the log was restored"):
            yield Row(f"job {job.id}", "unconfirmed", job.reason, "", job.submitted_at)


def _looked_at(client: "Client") -> "list[NodeView]":
    try:
        return client.nodes(survey_s=_SURVEY_S)
    except CallError as error:
        if error.reason is not Reason.FORBIDDEN:
            raise
        output.notice("the nodes did not look anew what runs there: that is for operators; see `survey_interval`")
        return client.nodes()


def _of_node(node: "NodeView") -> Iterator[Row]:
    if node.unsurveyed:
        what = (
            f"its agent did not look within {_SURVEY_S:g} s what runs there: see that it is well, and of this release"
        )
        yield Row(f"node {node.id}", "not surveyed", what, "", time.time())
    if node.state not in _HEARD:
        yield Row(f"node {node.id}", node.state, f"what runs there is not known: {node.reason}", "", node.since)
    for rank in node.orphans:
        what = f"{rank} runs there, and no job of this log has it: end it by hand, or `node adopt` a foreign node"
        yield Row(f"node {node.id}", "orphan", what, "", node.since)


def _found(detail: "NodeDetail") -> Iterator[Row]:
    for each in detail.differences:
        mended = each.mended or "it was only told"
        yield Row(f"node {detail.node.id}", each.kind.value, each.what, mended, each.at)
