"""`dlroverctl automation pause`: automation takes no node out of use any more."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("pause")
@click.option("--reason", required=True, help="Why; `automation status` shows it.")
@options.address
def command(reason: str, address: str | None) -> None:
    """Stop automatic quarantine. What it would have done is kept as findings.

    Nothing else stops: jobs are restarted, moved off lost nodes, and placed as ever; doubtful nodes are still taken
    last; holds that stand stay, and a maintenance still ends when its check is passed.
    """
    with options.connect(address) as client:
        client.pause_automation(reason)
    notice("automation is paused: it takes no node out of use; `dlroverctl automation resume` ends that")
