"""`dlroverctl node clear`: a node was repaired."""

from typing import Any

import click

from dlroverd.cli import holding, options
from dlroverd.cli.output import notice


@click.command("clear")
@click.option("--after-repair", is_flag=True, required=True, help="Yes, what was wrong with them is mended.")
@click.option("--reason", required=True, help="What was done; the log keeps it, with your name.")
@holding.selection
def command(after_repair: bool, reason: str, address: str | None, **chosen: Any) -> None:  # noqa: ARG001 - its presence is the word
    """Take NODEs as repaired: what spoke against them does not count any more.

    Signals of their kernels and drivers are counted anew from now on, their reputation begins anew, and what automation
    holds there is lifted. What people hold stays: they let go by `node uncordon`. To use a node again that was not
    repaired: `node uncordon --owner dlroverd`.
    """
    with options.connect(address) as client:
        views = client.nodes()
        nodes = holding.choose(views, chosen["names"], chosen["where"], all_=chosen["all_"])
        names = [node.id for node in nodes]
        if len(names) > 1:
            options.confirm(f"takes {len(names)} of {len(views)} nodes as repaired; go on?", yes=chosen["yes"])
        client.clear(names, reason=reason)
        for view in client.nodes():
            if view.id in names:
                left = f"; it is still held: {holding.holds(view)}" if view.holds else ""
                notice(f"node {view.id} begins anew{left}")
