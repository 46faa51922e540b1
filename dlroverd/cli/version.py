"""`dlroverctl version`: the version of this program."""

import click

from dlroverd import __version__


@click.command("version")
def command() -> None:
    """Print the version of this program."""
    click.echo(__version__)
