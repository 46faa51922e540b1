"""`dlroverctl token revoke`: no more hosts join by a token."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("revoke")
@click.argument("token", metavar="ID")
@options.address
def command(token: str, address: str | None) -> None:
    """Let no more hosts join by the token ID. Those that did stay: `dlroverctl node revoke` shuts one out."""
    with options.connect(address) as client:
        client.revoke_token(token)
    notice(f"no host joins by token {token} any more; see `dlroverctl token list`")
