"""Options and arguments that many verbs share, and the client they lead to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dlroverd.client import Client

F = TypeVar("F", bound=Callable[..., Any])

_ADDRESS_HELP = "Where the daemon is, as unix:///path.  [default: $DLROVERD_ADDRESS, else the system's]"

root_address = click.Option(["--address"], metavar="ADDRESS", help=_ADDRESS_HELP)


def _given_at_root(context: click.Context, _: click.Parameter, value: str | None) -> str | None:
    return value or context.find_root().params.get("address")


address = click.option("--address", metavar="ADDRESS", callback=_given_at_root, help=_ADDRESS_HELP)
job = click.argument("job", type=click.IntRange(min=1))


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


def connect(where: str | None) -> "Client":
    """Make the client of the daemon at an address, or at the default one."""
    from dlroverd.client import Client

    return Client(where)
