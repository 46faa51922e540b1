"""`dlroverctl config check`: whether a file is right, before anything depends on it."""

import click

from dlroverd.cli.output import notice

_KINDS = ("job", "daemon", "agent", "topology", "signals")


@click.command("check")
@click.argument("file", type=click.Path())
@click.option("--kind", type=click.Choice(_KINDS), default="job", show_default=True, help="What the file configures.")
def command(file: str, kind: str) -> None:
    """Check a file; each thing wrong in it is a sentence with its line and column."""
    from dlroverd.config.agent import AgentConfig
    from dlroverd.config.daemon import DaemonConfig
    from dlroverd.config.jobfile import draft
    from dlroverd.config.resolve import Submitter, resolve
    from dlroverd.config.signals import laid_over, load_signals
    from dlroverd.config.topology import load_topology, topology
    from dlroverd.config.validation import validate
    from dlroverd.config.yaml_source import read_file

    document = read_file(file)
    if kind == "job":
        resolve(draft(document), Submitter.current())
    elif kind == "topology":
        topology(document)
    elif kind == "signals":
        laid_over(document)
    elif kind == "daemon":
        config = validate(document, DaemonConfig)
        load_topology(config.topology)
        load_signals(config.signals)
    else:
        validate(document, AgentConfig)
    notice(f"{file}: right")
