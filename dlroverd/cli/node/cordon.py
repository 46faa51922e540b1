"""`dlroverctl node cordon`: no new jobs on nodes."""

from typing import Any

import click

from dlroverd.cli import holding, options


@click.command("cordon")
@click.option("--reason", required=True, help="Why; `node list` shows it.")
@holding.selection
def command(reason: str, address: str | None, **chosen: Any) -> None:
    """Place no new jobs on NODEs. Jobs that run there go on, and restart there.

    NODE may be a range: n[1-8]. Several people may hold a node; it is used again when each has let go, by
    `node uncordon`.
    """
    from dlroverd.model.hold import HoldKind

    with options.connect(address) as client:
        holding.hold(client, HoldKind.CORDON, chosen, reason=reason)
