"""`dlroverctl node why`: why a node is not used, or by whom it is; and what its kernel and drivers said."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output

if TYPE_CHECKING:
    from dlroverd.model.node_view import SignalView


@click.command("why")
@click.argument("node")
@options.output("table", "json", "yaml")
@options.address
def command(node: str, output_: str, address: str | None) -> None:
    """Say in one sentence why NODE is not used, or that it is and by whom.

    Below that is what its kernel and its drivers said of its health since it was last repaired, what was done about
    each, and what to do next.
    """
    with options.connect(address) as client:
        detail = client.node(node)
    signals = [each for each in detail.signals if not each.cleared]
    if output_ != "table":
        told = [output.plain(each) for each in signals]
        output.document("node_why", {"node": node, "why": detail.why, "signals": told}, output_)
        return
    click.echo(f"{detail.why[:1].upper()}{detail.why[1:]}.")
    for signal in reversed(signals):
        _say(signal)


def _say(signal: "SignalView") -> None:
    often = f", {signal.count} times" if signal.count > 1 else ""
    click.echo(f"\n{output.clock(signal.at)}  {signal.severity}: {signal.sentence}{often}")
    click.echo(f"  done: {signal.done}")
    if signal.then:
        click.echo(f"  next: {signal.then}")
