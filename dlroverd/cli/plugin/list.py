"""`dlroverctl plugin list`: the daemon's plugins."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.view import PluginView

_COLUMNS: "tuple[Column[PluginView], ...]" = (
    Column("NAME", lambda plugin: plugin.name),
    Column("VERSION", lambda plugin: plugin.version),
    Column("KINDS", lambda plugin: ",".join(plugin.kinds)),
    Column("ORIGIN", lambda plugin: plugin.origin),
    Column("HEALTH", lambda plugin: plugin.health),
    Column("LAG", lambda plugin: "-" if plugin.lag_records is None else str(plugin.lag_records)),
    Column("FAILURES", lambda plugin: str(plugin.failures)),
    Column("LAST ERROR", lambda plugin: plugin.last_error or "-"),
)


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List the daemon's plugins, and how they are."""
    with options.connect(address) as client:
        output.listing("plugins", client.plugins(), _COLUMNS, output_)
