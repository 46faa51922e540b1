"""`dlroverctl config show`: the settings in force."""

import click

from dlroverd.cli import options, output


@click.command("show")
@click.argument("which", type=click.Choice(["daemon", "agent"]))
@click.option("--config", "file", type=click.Path(), help="Of this file instead of the one in /etc/dlroverd.")
@options.output("yaml", "json")
def command(which: str, file: str | None, output_: str) -> None:
    """Show every setting that a daemon or agent on this host would have, those left out included."""
    from dlroverd.config.agent import load_agent_config
    from dlroverd.config.daemon import load_daemon_config

    config = load_daemon_config(file) if which == "daemon" else load_agent_config(file)
    output.document(f"{which}_config", config.model_dump(mode="json"), output_)
