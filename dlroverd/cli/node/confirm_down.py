"""`dlroverctl node confirm-down`: say that a node which is not heard is down."""

import click

from dlroverd.cli import options
from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import notice


@click.command("confirm-down")
@click.argument("node")
@options.yes
@options.address
def command(node: str, yes: bool, address: str | None) -> None:
    """Say that NODE, which is not heard, is down, so that its jobs need not wait for it.

    Its ranks are taken as ended. If the host still runs them, two writers may share a directory: look first.
    """
    with options.connect(address) as client:
        view = next((each for each in client.nodes() if each.id == node), None)
        if view is None:
            raise CommandError(f"There is no node {node}; see `dlroverctl node list`.")
        jobs = f"of jobs {', '.join(map(str, view.jobs))} " if view.jobs else ""
        click.echo(f"Node {node} is {view.state}: {view.reason}.", err=True)
        click.echo(
            f"Its ranks {jobs}are taken as ended; if the host still runs them, two writers may share a directory.",
            err=True,
        )
        options.confirm(f"Is {node} down?", yes=yes)
        client.confirm_down(node)
    notice(f"node {node} is taken as down; see `dlroverctl node list`")
