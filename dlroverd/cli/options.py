"""Options and arguments that many verbs share, and the client they lead to."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dlroverd.cli.endings import CommandError

if TYPE_CHECKING:
    from dlroverd.client import Client

F = TypeVar("F", bound=Callable[..., Any])

_ADDRESS_HELP = "Where the daemon is, as unix:///path.  [default: $DLROVERD_ADDRESS, else the system's]"

root_address = click.Option(["--address"], metavar="ADDRESS", help=_ADDRESS_HELP)


def _given_at_root(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    return value or context.find_root().params.get("address")


address = click.option("--address", metavar="ADDRESS", callback=_given_at_root, help=_ADDRESS_HELP)
yes = click.option("--yes", is_flag=True, help="Do not ask.")
job = click.argument("job", type=click.IntRange(min=1))


def within(function: F) -> F:
    """Add --within and --now: how long a job's next checkpoint is waited for, `within_s` seconds."""
    help_ = "How long its next checkpoint is waited for, if it tells of them."
    wait = click.option(
        "--within", "within_s", metavar="DURATION", default="10m", show_default=True, callback=_seconds, help=help_
    )
    # Eager, so that it is known when --within is read.
    now = click.option(
        "--now", is_flag=True, is_eager=True, expose_value=False, callback=_at_once, help="Wait for no checkpoint."
    )
    return wait(now(function))


_AT_ONCE = "dlroverd.at_once"


def _at_once(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_AT_ONCE] = value


def duration(_: click.Context, __: click.Parameter, value: str) -> float:
    """Read a duration such as 1h as seconds, for an option's callback."""
    from dlroverd.config.durations import parse_duration

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}") from None


def _seconds(context: click.Context, parameter: click.Parameter, value: str) -> float:
    return 0.0 if context.meta[_AT_ONCE] else duration(context, parameter, value)


def output(*formats: str) -> Callable[[F], F]:
    """Add -o with its formats; the first is the default."""
    return click.option(
        "-o",
        "--output",
        "output_",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How it is shown.",
    )


def since(what: str) -> Callable[[F], F]:
    """Add --since, which gives absolute seconds; `what` it asks for."""
    return click.option(
        "--since", callback=_moment, metavar="AGO|TIME", help=f"{what}: 10m ago, or at 14:02, 2026-01-31T14:02:11."
    )


def _moment(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Read `10m` (ago), a time of today or, if that is still to come, of yesterday, or a date with or without one."""
    from datetime import datetime, time, timedelta

    from dlroverd.config.durations import parse_duration

    if value is None:
        return None
    now = datetime.now().astimezone()
    try:
        return now.timestamp() - parse_duration(value)
    except ValueError:
        pass  # then it is a time
    try:
        return datetime.fromisoformat(value).timestamp()
    except ValueError:
        pass  # then it is one of a day
    try:
        moment = datetime.combine(now.date(), time.fromisoformat(value)).astimezone()
    except ValueError:
        sentence = f"'{value}' is neither how long ago, such as 10m, nor a time, such as 14:02 or 2026-01-31T14:02:11"
        raise click.BadParameter(sentence) from None
    return (moment if moment <= now else moment - timedelta(days=1)).timestamp()


def confirm(question: str, *, yes: bool) -> None:
    """Ask whether to go on, unless told `yes`.

    Raises:
        CommandError: the answer is no.
        UsageError: nobody is there to be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked off a terminal: add --yes if it is meant.")
    if not click.confirm(question, err=True):
        raise CommandError("nothing was done.")


def connect(where: str | None) -> "Client":
    """Make the client of the daemon at an address, or at the default one."""
    from dlroverd.client import Client

    return Client(where)
