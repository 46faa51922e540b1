"""`dlroverctl sink replay`: have a sink go on from elsewhere in the log."""

import click

from dlroverd.cli import options
from dlroverd.cli.endings import CommandError
from dlroverd.cli.output import notice


@click.command("replay")
@click.argument("name")
@click.option(
    "--from",
    "start",
    required=True,
    metavar="POSITION|oldest|now",
    help="The first record that it gets; `event list -o wide`.",
)
@options.yes
@options.address
def command(name: str, start: str, yes: bool, address: str | None) -> None:
    """Send events to the sink NAME again, from a position of the log on, or skip some.

    What it had is delivered a second time, with the same position and index, by which it can be told.
    """
    with options.connect(address) as client:
        sink = next((each for each in client.sinks() if each.name == name), None)
        if sink is None:
            raise CommandError(f"There is no sink {name}; see `dlroverctl sink list`.")
        position = _position(start, sink.oldest, sink.newest)
        again = sink.cursor + 1 - position
        if again == 0:
            raise CommandError(f"{name} goes on from {position} as it is.")
        if again > 0:
            effect = f"{again} records of the log ({position} to {sink.cursor}) are delivered to {name} again"
        else:
            effect = f"{-again} records of the log ({sink.cursor + 1} to {position - 1}) are never delivered to {name}"
        click.echo(f"{effect}.", err=True)
        options.confirm("Is that meant?", yes=yes)
        client.replay_sink(name, position)
    notice(f"{name} goes on from {position}; see `dlroverctl sink list`")


def _position(start: str, oldest: int, newest: int) -> int:
    known = {"oldest": oldest, "now": newest + 1}
    if start not in known and not start.isdecimal():
        raise click.UsageError(f"--from is {start!r}; name a position of the log, oldest or now.")
    return known.get(start) or int(start)
