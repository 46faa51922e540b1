"""`dlroverctl automation status`: what automation may do, did and would do."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import clock, span

if TYPE_CHECKING:
    from dlroverd.model.node_view import AutomationView

_STAGES = {
    "observe": "It only notes which nodes it finds bad.",
    "advise": "It advises which nodes to quarantine, and leaves it to you.",
    "act": "It quarantines nodes that it finds bad.",
}


@click.command("status")
@options.output("table", "json", "yaml")
@options.address
def command(output_: str, address: str | None) -> None:
    """Show what automation may do, what it did lately, and what it would do."""
    with options.connect(address) as client:
        view = client.automation()
    if output_ != "table":
        output.document("automation", {"automation": output.plain(view)}, output_)
        return
    for line in _sentences(view):
        click.echo(line)
    if view.findings:
        click.echo()
        output.table(
            ["NODE", "SINCE", "STAGE", "HELD BACK BY", "FINDING"],
            [
                [each.node, clock(each.since), each.stage, each.held_back or "-", each.sentence]
                for each in view.findings
            ],
        )


def _sentences(view: "AutomationView") -> list[str]:
    said = [_STAGES[view.quarantine]]
    if view.paused_by:
        said = [f"Automation was paused by {view.paused_by} at {clock(view.since)}: {view.reason}."]
    names = ", ".join(f"{each.node} at {clock(each.at)}" for each in view.removals)
    said.append(
        f"It took {len(view.removals)} of the {view.allowed} nodes that it may within {span(view.window_s)} out of "
        f"use{f': {names}' if names else ''}."
    )
    said.append(
        f"{view.usable} of {view.nodes} nodes are usable; it leaves at least {view.ready_share:.0%} of them so."
    )
    return said
