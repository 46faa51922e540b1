"""`dlroverctl config check`: whether a file is right, before anything depends on it."""

import click

from dlroverd.cli.output import notice

_KINDS = ("job", "daemon", "agent")


@click.command("check")
@click.argument("file", type=click.Path())
@click.option("--kind", type=click.Choice(_KINDS), default="job", show_default=True, help="What the file configures.")
def command(file: str, kind: str) -> None:
    """Check a file; each thing wrong in it is a sentence with its line and column."""
    from dlroverd.config.agent import AgentConfig
    from dlroverd.config.daemon import DaemonConfig
    from dlroverd.config.jobfile import draft
    from dlroverd.config.resolve import Submitter, resolve
    from dlroverd.config.validation import validate
    from dlroverd.config.yaml_source import read_file

    document = read_file(file)
    if kind == "job":
        resolve(draft(document), Submitter.current())
    else:
        validate(document, DaemonConfig if kind == "daemon" else AgentConfig)
    notice(f"{file}: right")
