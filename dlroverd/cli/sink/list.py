"""`dlroverctl sink list`: the daemon's sinks, and how far each is."""

from typing import TYPE_CHECKING

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.view import SinkView

# Below so many records that are left to it, a sink that is behind is shown with what it may lose.
_LITTLE_ROOM = 100_000


def _note(sink: "SinkView") -> str:
    notes = []
    if sink.lost:
        notes.append(f"lost {sink.lost} records")
    if sink.lag_records and sink.room < _LITTLE_ROOM:
        notes.append(f"loses events in {sink.room} records")
    return "; ".join(notes) or "-"


_COLUMNS: "tuple[Column[SinkView], ...]" = (
    Column("NAME", lambda sink: sink.name),
    Column("PLUGIN", lambda sink: sink.plugin),
    Column("HEALTH", lambda sink: sink.health),
    Column("CURSOR", lambda sink: str(sink.cursor)),
    Column("LAG", lambda sink: str(sink.lag_records)),
    Column("BEHIND", lambda sink: output.span(sink.lag_s)),
    Column("DELIVERED", lambda sink: str(sink.delivered)),
    Column("RETRIES", lambda sink: str(sink.retries)),
    Column("DEAD", lambda sink: str(sink.dead_letters)),
    Column("START", lambda sink: sink.start, wide=True),
    Column("OLDEST", lambda sink: str(sink.oldest), wide=True),
    Column("NEWEST", lambda sink: str(sink.newest), wide=True),
    Column("ROOM", lambda sink: str(sink.room), wide=True),
    Column("NOTE", _note),
    Column("LAST ERROR", lambda sink: sink.last_error or "-"),
)


@click.command("list")
@options.output(*output.FORMATS)
@options.address
def command(output_: str, address: str | None) -> None:
    """List where events are sent, and how far each sink is.

    LAG is how many records of the log a sink has not had, and BEHIND how old the first of them is. DELIVERED, RETRIES
    and DEAD (letters) are since the daemon's start.
    """
    with options.connect(address) as client:
        output.listing("sinks", client.sinks(), _COLUMNS, output_)
