"""`dlroverctl token list`: the join tokens."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.trust import TokenView

_COLUMNS: "tuple[Column[TokenView], ...]" = (
    Column("ID", lambda token: token.id),
    Column("STATE", lambda token: token.state),
    Column("FOR", lambda token: token.kind),
    Column("USED", lambda token: f"{len(token.joined)}/{token.uses}"),
    Column("EXPIRES", lambda token: output.clock(token.expires_at)),
    Column("BY", lambda token: token.actor),
    Column("JOINED", lambda token: ",".join(token.joined) or "-"),
)


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List the join tokens, and those that ended lately: who made them, and which hosts joined by each."""
    with options.connect(address) as client:
        output.listing("tokens", client.tokens(), _COLUMNS, output_)
