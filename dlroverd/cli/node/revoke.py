"""`dlroverctl node revoke`: shut a host out."""

import click

from dlroverd.cli import options
from dlroverd.cli.output import notice


@click.command("revoke")
@click.argument("node")
@click.option("--reason", default="", help="Why; the log keeps it.")
@options.yes
@options.address
def command(node: str, reason: str, yes: bool, address: str | None) -> None:
    """Shut NODE out of the fleet, whatever certificate it shows: its session ends, and it is not let in again.

    Its ranks run on, for nobody can tell it to stop them: drain it first if you can. It may join again by a token that
    is made later. A login host is shut out in the same way.
    """
    with options.connect(address) as client:
        view = next((each for each in client.nodes() if each.id == node), None)
        if view is not None and view.jobs:
            jobs = ", ".join(map(str, view.jobs))
            click.echo(f"Jobs {jobs} have ranks on {node}, which run on there until it is lost.", err=True)
            options.confirm(f"Shut out {node}?", yes=yes)
        client.revoke_certificates(node, reason)
        live = [token.id for token in client.tokens() if token.state == "valid"]
    notice(f"{node} is shut out; it may join again by a token made from now on")
    if live:
        notice(f"hosts can still join by {', '.join(live)}; if {node} had one: `dlroverctl token revoke ID`")
