"""`dlroverctl node check`: what the checks of nodes find."""

import time
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import checking, holding, options, output
from dlroverd.cli.endings import CommandError, Exit

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.node_view import CheckupView
    from dlroverd.model.view import NodeDetail

_LOOK_S = 0.3
_LEVELS = ("instant", "light")


@click.command("check")
@click.option(
    "--level",
    type=click.Choice(_LEVELS),
    default="instant",
    show_default=True,
    help="How deep: instant checks look, light ones also work the host, which must run no job.",
)
@options.output("table", "json", "yaml")
@holding.choice
@options.address
def command(level: str, output_: str, address: str | None, **chosen: Any) -> None:
    """Run the checks of NODEs now, and show what they find.

    Ends with 0 when every node passes, with 1 when one is bad, and with 4 when what is found on one is not known.
    """
    from dlroverd.model.checkup import CheckLevel

    with options.connect(address) as client:
        nodes = holding.choose(client.nodes(), chosen["names"], chosen["where"], all_=chosen["all_"])
        if not nodes:
            raise CommandError("No node is like that; nothing was checked.")
        number = client.check([node.id for node in nodes], CheckLevel(level))
        found = [_ended(client, node.id, number) for node in nodes]
    if output_ == "table":
        checking.results([detail for detail, _ in found])
        for detail, run in found:
            if run.state == "unknown":
                output.notice(f"{detail.node.id}: {run.sentence}")
    else:
        rows = [
            {
                "node": detail.node.id,
                "state": run.state,
                "sentence": run.sentence,
                "checks": output.plain(detail)["checks"],
            }
            for detail, run in found
        ]
        output.document("node_check", {"nodes": rows}, output_)
    states = {run.state for _, run in found}
    if states != {"ok"}:
        click.get_current_context().exit(Exit.REFUSED if "bad" in states else Exit.TIMED_OUT)


def _ended(client: "Client", node: str, number: int) -> "tuple[NodeDetail, CheckupView]":
    """Wait until a node has made a checkup; the daemon ends it in time, whatever the node does."""
    while True:
        detail = client.node(node)
        runs = [each for each in detail.checkups if each.id >= number]
        if all(each.state for each in runs):
            order = ("bad", "unknown", "ok")
            return detail, min(runs or detail.checkups, key=lambda each: order.index(each.state))
        time.sleep(_LOOK_S)
