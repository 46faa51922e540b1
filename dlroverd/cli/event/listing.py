"""What `event list` and `event tail` share: how events are asked for and shown."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column

if TYPE_CHECKING:
    from dlroverd.model.view import EventView

_COLUMNS: "tuple[Column[EventView], ...]" = (
    Column("POSITION", lambda event: str(event.position), wide=True),
    Column("TIME", lambda event: output.clock(event.time)),
    Column("JOB", lambda event: str(event.job or "-")),
    Column("NODE", lambda event: event.node or "-"),
    Column("EVENT", lambda event: event.name),
    Column("FACTS", lambda event: event.body),
)


def filters(limit: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of both; `limit` is how many events are shown unless told otherwise, 0 for all."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for decorator in (
            options.address,
            options.output(*output.FORMATS),
            click.option("--limit", type=click.IntRange(min=0), default=limit, help="The newest so many; 0 is all."),
            options.since("Not older than this"),
            click.option("--name", "names", multiple=True, help="Only this kind of event; may be repeated."),
            click.option("--node", help="Only events about this node."),
            click.option("--job", type=click.IntRange(min=1), help="Only events about this job."),
        ):
            function = decorator(function)
        return function

    return decorate


def show(address: str | None, output_: str, *, follow: bool = False, **wanted: Any) -> None:
    """Ask and show: the whole as one document, or what is followed line by line."""
    with options.connect(address) as client:
        events = client.events(follow=follow, **wanted)
        if not follow:
            output.listing("events", list(events), _COLUMNS, output_)
            return
        for event in events:
            if output_ in ("table", "wide"):
                shown = (column.cell(event) for column in _COLUMNS if output_ == "wide" or not column.wide)
                click.echo("  ".join(shown))
            else:
                output.line("event", output.plain(event))
