"""`dlroverctl node maintenance`: nodes become empty, are rebooted or worked on, and come back."""

from typing import Any

import click

from dlroverd.cli import holding, options
from dlroverd.cli.node import uncordon
from dlroverd.cli.node.drain import how, leaving


@click.group("maintenance")
def command() -> None:
    """Work on nodes: they are drained, rebooted if wanted, and put back."""


@command.command("start")
@click.option("--reason", required=True, help="Why; `node list` shows it.")
@click.option("--reboot", is_flag=True, help="Reboot each once nothing of ours runs there.")
@click.option(
    "--until-checked", is_flag=True, help="Put each back by itself once it was rebooted and has all its devices."
)
@leaving
@holding.selection
def start(mode: str, deadline: str | None, address: str | None, **given: Any) -> None:
    """Drain NODEs for work on them. `node maintenance end` puts them back."""
    from dlroverd.model.hold import HoldKind

    with options.connect(address) as client:
        what = {name: given.pop(name) for name in ("reason", "reboot", "until_checked")}
        holding.hold(client, HoldKind.MAINTENANCE, given, **what, **how(mode, deadline))


@command.command("end")
@holding.selection
def end(address: str | None, **chosen: Any) -> None:
    """Put NODEs back that maintenance is over for."""
    from dlroverd.model.hold import HoldKind

    with options.connect(address) as client:
        uncordon.release(client, chosen, kind=HoldKind.MAINTENANCE)
