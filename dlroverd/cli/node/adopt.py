"""`dlroverctl node adopt`: take in a node that follows another log."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("adopt")
@click.argument("node")
@options.address
def command(node: str, address: str | None) -> None:
    """Say that this daemon takes the place of the one that NODE followed, and take in the jobs it runs."""
    with options.connect(address) as client:
        client.adopt(node)
    notice(f"node {node} is being adopted; see `dlroverctl node list`")
