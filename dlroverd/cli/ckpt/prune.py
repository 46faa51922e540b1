"""`dlroverctl ckpt prune`: remove old checkpoints."""

import click

from dlroverd.cli import options, output
from dlroverd.cli.ckpt.where import existing
from dlroverd.cli.endings import CommandError


@click.command("prune")
@click.argument("path")
@click.option("--keep-last", type=click.IntRange(min=1), default=3, show_default=True, help="How many are kept.")
@click.option("--dry-run", is_flag=True, help="Only say which would be removed.")
@options.yes
def command(path: str, keep_last: int, dry_run: bool, yes: bool) -> None:
    """Remove all but the newest checkpoints of a folder on this host.

    One that was read and found as it was written always stays, even if it is older than those to be kept. So does one
    that is being loaded.
    """
    from dlroverd_train.vault import retention

    keep, sound = retention.Keep(last=keep_last), set[str]()
    existing(path)
    try:
        planned = retention.prune(path, keep, sound, dry=True)
        if not planned.removed:
            output.notice("; ".join(planned.left) or f"{path} has nothing to remove")
            return
        steps = ", ".join(map(str, planned.removed))
        if dry_run:
            click.echo(f"would remove {_count(planned.removed)} of {path}: {steps}")
            return
        options.confirm(f"Remove {_count(planned.removed)} of {path} ({steps})?", yes=yes)
        done = retention.prune(path, keep, sound)
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror}; what is left is as it was.") from error
    click.echo(f"removed {_count(done.removed)} of {path}: {', '.join(map(str, done.removed))}")
    for sentence in done.left:
        output.notice(sentence)


def _count(steps: list[int]) -> str:
    return f"{len(steps)} checkpoint{'s' if len(steps) != 1 else ''}"
