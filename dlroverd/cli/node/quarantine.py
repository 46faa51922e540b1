"""`dlroverctl node quarantine`: nodes that are doubted are not used."""

from typing import Any

import click

from dlroverd.cli import holding, options


@click.command("quarantine")
@click.option("--reason", required=True, help="What is wrong with it; `node list` shows it.")
@holding.selection
def command(reason: str, address: str | None, **chosen: Any) -> None:
    """Place no new jobs on NODEs, and have jobs that run there restart elsewhere when they next restart.

    This is what automation does with nodes that it finds bad, in the name of dlroverd.
    """
    from dlroverd.model.hold import HoldKind

    with options.connect(address) as client:
        holding.hold(client, HoldKind.QUARANTINE, chosen, reason=reason)
