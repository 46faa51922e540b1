"""`dlroverctl node list`: all nodes."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.view import NodeView

_COLUMNS: "tuple[Column[NodeView], ...]" = (
    Column("ID", lambda node: node.id),
    Column("STATE", lambda node: node.state),
    Column("SLOTS", lambda node: str(node.slots)),
    Column("FREE", lambda node: str(node.free)),
    Column("DEVICES", lambda node: str(node.devices)),
    Column("JOBS", lambda node: ",".join(map(str, node.jobs)) or "-"),
    Column("ORPHANS", lambda node: ",".join(node.orphans) or "-"),
    Column("SINCE", lambda node: output.clock(node.since)),
    Column("ADDRESS", lambda node: node.address, wide=True),
    Column("AGENT", lambda node: node.agent_version, wide=True),
    Column("REASON", lambda node: "; ".join((node.reason, *node.notes))),
)


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List nodes, with what runs there and why each is in its state."""
    with options.connect(address) as client:
        output.listing("nodes", client.nodes(), _COLUMNS, output_)
