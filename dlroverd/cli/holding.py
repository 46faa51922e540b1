"""What taking nodes out of use and putting them back have in common: which nodes, in whose name, is it meant."""

import getpass
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options
from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import notice

if TYPE_CHECKING:
    from dlroverd.client import Client
    from dlroverd.model.hold import DrainMode, HoldKind
    from dlroverd.model.view import NodeView

_VERBS = {
    "cordon": "cordons",
    "drain": "drains",
    "maintenance": "takes out for maintenance",
    "quarantine": "quarantines",
}


def selection(function: Callable[..., None]) -> Callable[..., None]:
    """Add NODE..., --all, --where, --owner, --yes and --address."""
    for decorator in (
        options.address,
        options.yes,
        click.option("--owner", help="In whose name.  [default: who you are logged in as]"),
        choice,
    ):
        function = decorator(function)
    return function


def choice(function: Callable[..., None]) -> Callable[..., None]:
    """Add NODE..., --all and --where."""
    for decorator in (
        click.option(
            "--where", multiple=True, metavar="LABEL=VALUE", help="Only nodes with this label; may be repeated."
        ),
        click.option("--all", "all_", is_flag=True, help="Every node there is."),
        click.argument("names", nargs=-1, metavar="[NODE]..."),
    ):
        function = decorator(function)
    return function


def me() -> str:
    """Tell who is at the keyboard, also behind sudo."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def choose(views: "Sequence[NodeView]", names: Sequence[str], where: Sequence[str], *, all_: bool) -> "list[NodeView]":
    """Give the nodes that are meant; UsageError if none is named, CommandError if one is not there.

    Names may be ranges, such as n[1-8].
    """
    from dlroverd.config.hostlist import expand
    from dlroverd.model.constraints import unmet
    from dlroverd.model.placement import NodeTraits

    if not names and not where and not all_:
        raise click.UsageError("Name the nodes, such as n1 or n[1-8], or add --where LABEL=VALUE, or --all.")
    by_id = {view.id: view for view in views}
    try:
        wanted = list(dict.fromkeys(name for text in names for name in expand(text))) or list(by_id)
        traits = {name: NodeTraits(labels=tuple(view.labels.items())) for name, view in by_id.items()}
        unknown = [name for name in wanted if name not in by_id]
        if unknown:
            raise CommandError(f"There is no node {', '.join(unknown[:4])}; see `dlroverctl node list`.")
        return [by_id[name] for name in wanted if not unmet(where, traits[name])[0]]
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def hold(client: "Client", kind: "HoldKind", chosen: "dict[str, Any]", **how: Any) -> None:
    """Take the chosen nodes out of use, having asked if they are several, and say how that is undone."""
    views = client.nodes()
    nodes = choose(views, chosen["names"], chosen["where"], all_=chosen["all_"])
    if not nodes:
        raise CommandError("No node is like that; nothing was done.")
    several = len(nodes) > 1
    if several:
        options.confirm(_question(kind, nodes, len(views), how.get("mode")), yes=chosen["yes"])
    request = client.hold([node.id for node in nodes], kind, owner=chosen["owner"] or me(), **how)
    shown = nodes[0].id if not several else f"{len(nodes)} nodes"
    notice(f"{kind.value}: {shown}; see `dlroverctl node list`")
    notice(f"to undo this: `dlroverctl node uncordon --undo {request}`")


def _question(kind: "HoldKind", nodes: "Sequence[NodeView]", total: int, mode: "DrainMode | None") -> str:
    jobs = {job for node in nodes for job in node.jobs}
    run = f"{len(jobs)} job{'s run' if len(jobs) != 1 else ' runs'} there"
    if mode is not None and mode.value == "now" and jobs:
        run += f" and {'are' if len(jobs) != 1 else 'is'} stopped"
    return f"{_VERBS[kind.value]} {len(nodes)} of {total} nodes; {run}; go on?"


def holds(node: "NodeView") -> str:
    """Say who holds a node, how and why: `drain by ann (fans), cordon by bob (disk)`."""
    return ", ".join(f"{each.kind} by {each.owner} ({each.reason})" for each in node.holds)
