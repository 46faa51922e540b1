"""`dlroverctl event tail`: the newest facts of the log, and those to come."""

from typing import Any

import click

from dlroverd.cli.event.listing import filters, show


@click.command("tail")
@click.option("-f", "--follow", is_flag=True, help="Go on with those to come; -o json gives one object a line.")
@filters(limit=20)
def command(**wanted: Any) -> None:
    """Show the newest facts of the log."""
    show(**wanted)
