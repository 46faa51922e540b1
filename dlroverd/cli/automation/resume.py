"""`dlroverctl automation resume`: automation may act again."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("resume")
@options.address
def command(address: str | None) -> None:
    """Let automation act again, within its limits, on what it would have done meanwhile too."""
    with options.connect(address) as client:
        client.resume_automation()
    notice("automation acts again; see `dlroverctl automation status`")
