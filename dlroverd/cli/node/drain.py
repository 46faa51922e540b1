"""`dlroverctl node drain`: nodes become empty."""

from collections.abc import Callable
from typing import Any

import click

from dlroverd.cli import holding, options


def leaving(function: Callable[..., None]) -> Callable[..., None]:
    """Add --finish, --at-checkpoint, --now and --deadline."""
    for decorator in (
        click.option("--deadline", metavar="DURATION", help="After so long jobs that are left are moved at once."),
        click.option("--now", "mode", flag_value="now", help="Move jobs at once, after their grace."),
        click.option(
            "--at-checkpoint", "mode", flag_value="at_checkpoint", help="Move each job at its next checkpoint."
        ),
        click.option(
            "--finish", "mode", flag_value="finish", default=True, help="Let jobs end by themselves.  [default]"
        ),
    ):
        function = decorator(function)
    return function


def how(mode: str, deadline: str | None) -> dict[str, Any]:
    """Read what `leaving` added; UsageError if the deadline is no duration."""
    from dlroverd.config.durations import parse_duration
    from dlroverd.model.hold import DrainMode

    try:
        return {"mode": DrainMode(mode), "deadline_s": parse_duration(deadline) if deadline else 0.0}
    except ValueError as error:
        raise click.UsageError(f"--deadline {error}.") from None


@click.command("drain")
@click.option("--reason", required=True, help="Why; `node list` shows it.")
@leaving
@holding.selection
def command(reason: str, mode: str, deadline: str | None, address: str | None, **chosen: Any) -> None:
    """Have NODEs become empty: no new jobs, and those that run there leave.

    Unless told otherwise they are let finish; one that restarts meanwhile does so elsewhere. A job that neither
    tells of checkpoints nor asks whether to save is not moved by --at-checkpoint. `node list` says how far it is.
    """
    from dlroverd.model.hold import HoldKind

    with options.connect(address) as client:
        holding.hold(client, HoldKind.DRAIN, chosen, reason=reason, **how(mode, deadline))
