"""`dlroverctl state backup`: all that a daemon needs to go on, in one file."""

import click

from dlroverd.cli.state import program

config = click.option("--config", metavar="FILE", type=click.Path(), help="The daemon's configuration.")


@click.command("backup")
@click.argument("target", metavar="FILE|FOLDER", type=click.Path())
@config
def command(target: str, config: str | None) -> None:
    """Copy the log, the configuration and the certificates, on the daemon's host and as root, while it runs or not.

    The copy is of one moment, and has a digest of each part. It holds secrets: the file is its owner's alone. In a
    FOLDER it gets a name of its own.
    """
    program.run("dlroverd.daemon.backup", target, *(("--config", config) if config else ()))
