"""What `event list` and `event tail` share: how events are asked for and shown."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from dlroverd.cli import options, output
from dlroverd.cli.output import Column
from dlroverd.model.spooled import EventKind, Severity

if TYPE_CHECKING:
    from dlroverd.model.view import EventView

_COLUMNS: "tuple[Column[EventView], ...]" = (
    Column("POSITION", lambda event: str(event.position), wide=True),
    Column("TIME", lambda event: output.clock(event.time)),
    Column("SEVERITY", lambda event: event.severity),
    Column("JOB", lambda event: str(event.job or "-")),
    Column("NODE", lambda event: event.node or "-"),
    Column("EVENT", lambda event: event.name),
    Column("KIND", lambda event: event.kind, wide=True),
    Column("SPAN", lambda event: event.span or event.parent or "-", wide=True),
    Column("FACTS", lambda event: event.body),
)
_CLOUD_EVENTS = "cloudevents"


class _Start(click.ParamType[str]):
    """Where in the log to start, as the daemon takes it."""

    name = "start"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take a position, oldest or now."""
        if value not in ("oldest", "now") and not (value.isdecimal() and int(value)):
            self.fail(f"'{value}' is no position of the log (a number from 1 on), nor oldest or now", param, ctx)
        return value


def filters(limit: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of both; `limit` is how many events are shown unless told otherwise, 0 for all."""
    shown = f"The newest so many; 0 is all.  [default: {limit}{', with --from 0' if limit else ''}]"

    def newest(context: click.Context, _: click.Parameter, value: int | None) -> int:
        if value is not None:
            return value
        return 0 if context.params["start"] else limit

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for decorator in (
            options.address,
            options.output(*output.FORMATS, _CLOUD_EVENTS),
            click.option("--limit", type=click.IntRange(min=0), callback=newest, help=shown),
            click.option(
                "--from",
                "start",
                type=_Start(),
                metavar="POSITION|oldest|now",
                is_eager=True,  # so that --limit knows of it
                help="Start at this record of the log.",
            ),
            options.since("Not older than this"),
            click.option(
                "--kind",
                type=click.Choice([each.value for each in EventKind]),
                help="Only this kind of event.",
            ),
            click.option("--severity", type=click.Choice([each.value for each in Severity]), help="This, or worse."),
            click.option("--name", "names", multiple=True, help="Only this event; * is any text; may be repeated."),
            click.option("--node", help="Only events about this node."),
            click.option("--job", type=click.IntRange(min=1), help="Only events about this job."),
        ):
            function = decorator(function)
        return function

    return decorate


def show(address: str | None, output_: str, *, follow: bool = False, limit: int, **wanted: Any) -> None:
    """Ask and show: the whole as one document, or what is followed, and CloudEvents, line by line."""
    with options.connect(address) as client:
        events = client.events(follow=follow, limit=limit, **wanted)
        if output_ == _CLOUD_EVENTS:
            from dlroverd.plugin_api.cloud_events import cloud_event

            for event in events:
                click.echo(json.dumps(cloud_event(event), ensure_ascii=False))
        elif not follow:
            output.listing("events", list(events), _COLUMNS, output_)
        else:
            for event in events:
                _show_one(event, output_)


def _show_one(event: "EventView", output_: str) -> None:
    if output_ in ("table", "wide"):
        shown = (column.cell(event) for column in _COLUMNS if output_ == "wide" or not column.wide)
        click.echo("  ".join(shown))
    else:
        # An event has a kind and a version of its own.
        output.line("event", {"event": output.plain(event)})
