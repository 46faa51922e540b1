"""`dlroverctl event list`: facts of the log, oldest first."""

from typing import Any

import click

from dlroverd.cli.event.listing import filters, show


@click.command("list")
@filters(limit=0)
def command(**wanted: Any) -> None:
    """List the facts of the log, oldest first."""
    show(**wanted)
