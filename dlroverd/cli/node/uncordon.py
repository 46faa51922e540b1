"""`dlroverctl node uncordon`: let go of nodes."""

from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import holding, options
from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import notice

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.hold import HoldKind


@click.command("uncordon")
@click.option("--undo", metavar="REQUEST", help="Take back what one command did; it said how when it was given.")
@holding.selection
def command(undo: str | None, address: str | None, **chosen: Any) -> None:
    """Let go of NODEs: lift every hold that you have there, of whichever kind.

    What others hold stays, automation's quarantine too: `--owner dlroverd` lifts that. A node is used again when every
    owner has let go.
    """
    with options.connect(address) as client:
        if undo:
            _undo(client, undo)
        else:
            release(client, chosen)


def release(client: "Client", chosen: dict[str, Any], kind: "HoldKind | None" = None) -> None:
    """Let go of the chosen nodes that the owner holds, having asked if they are several."""
    owner = chosen["owner"] or holding.me()
    views = client.nodes()
    nodes = holding.choose(views, chosen["names"], chosen["where"], all_=chosen["all_"])
    held = [node for node in nodes if any(each.owner == owner for each in node.holds)]
    # Those that are named but not held in this name go along, and the daemon says who holds them.
    meant = [node.id for node in (held or nodes)]
    if len(meant) > 1:
        options.confirm(f"lets go of {len(meant)} of {len(views)} nodes, held by {owner}; go on?", yes=chosen["yes"])
    client.release(meant, owner=owner, kind=kind)
    _say_left(client, meant)


def _undo(client: "Client", request: str) -> None:
    """Lift what one request set, in whoever's name."""
    owners: dict[str, list[str]] = {}
    for node in client.nodes():
        for each in node.holds:
            if each.request == request:
                owners.setdefault(each.owner, []).append(node.id)
    if not owners:
        raise CommandError(f"Nothing is left of what {request} did; see `dlroverctl node list -o json`.")
    for owner, nodes in owners.items():
        client.release(nodes, owner=owner, undo=request)
        _say_left(client, nodes)


def _say_left(client: "Client", nodes: list[str]) -> None:
    views = {view.id: view for view in client.nodes()}
    left = [name for name in nodes if name in views and views[name].holds]
    free = len(nodes) - len(left)
    if free:
        notice(f"{'1 node is' if free == 1 else f'{free} nodes are'} used again")
    for name in left[:8]:
        notice(f"node {name} is still held: {holding.holds(views[name])}")
    if len(left) > 8:
        notice(f"and {len(left) - 8} more; see `dlroverctl node list`")
