"""`dlroverctl completion`: the shell code that completes commands and options. Asks nothing of any daemon."""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion code of a shell.

    For bash: eval "$(dlroverctl completion bash)" in ~/.bashrc.
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    from dlroverd.cli.app import root

    completers = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    click.echo(completers[shell](root, {}, "dlroverctl", "_DLROVERCTL_COMPLETE").source())
