"""`dlroverctl state restore`: go on from a backup."""

import click

from dlroverd.cli.state import program
from dlroverd.cli.state.backup import config


@click.command("restore")
@click.argument("file", type=click.Path())
@click.option("--force", is_flag=True, help="Also where there is a log, which is kept beside the restored one.")
@config
def command(file: str, force: bool, config: str | None) -> None:
    """Make the backup FILE the daemon's state, on the daemon's host and as root, with the daemon stopped.

    No job is touched. As the agents are heard again, what they run is taken in, whatever the copy says; a job of the
    copy that nobody runs is suspended until you resume or cancel it. Files that are there already are left as they are.
    """
    words = (*(("--force",) if force else ()), *(("--config", config) if config else ()))
    program.run("dlroverd.daemon.restore", file, *words)
