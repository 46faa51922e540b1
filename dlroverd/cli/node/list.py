"""`dlroverctl node list`: all nodes."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dlroverd.model.view import NodeView

_COLUMNS: "tuple[Column[NodeView], ...]" = (
    Column("ID", lambda node: node.id),
    Column("STATE", lambda node: node.state),
    Column("SLOTS", lambda node: str(node.slots)),
    Column("FREE", lambda node: str(node.free)),
    Column("DEVICES", lambda node: str(node.devices)),
    Column("JOBS", lambda node: ",".join(map(str, node.jobs)) or "-"),
    Column("HOLDS", lambda node: ",".join(f"{each.kind}({each.owner})" for each in node.holds) or "-"),
    Column("ORPHANS", lambda node: ",".join(node.orphans) or "-"),
    Column("SINCE", lambda node: output.clock(node.since) if node.since else "-"),
    Column("ADDRESS", lambda node: node.address, wide=True),
    Column("AGENT", lambda node: node.agent_version, wide=True),
    Column("DOUBT", lambda node: f"{node.doubt:.0%}" if node.doubt else "-", wide=True),
    Column("WHY", lambda node: "; ".join(_why(node))),
)


def _why(node: "NodeView") -> "Iterator[str]":
    """Say why a node is in its state; of one that is held how far it is, and who holds it since when and why."""
    if not node.holds:
        yield node.reason
    elif node.progress:
        yield node.progress
    for each in node.holds:
        until = f", by {output.clock(each.deadline)}" if each.deadline else ""
        yield f"{each.kind} by {each.owner} since {output.clock(each.since)}{until}: {each.reason}"
    yield from node.notes


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List nodes, with what runs there and why each is in its state."""
    with options.connect(address) as client:
        output.listing("nodes", client.nodes(with_absent=True), _COLUMNS, output_)
