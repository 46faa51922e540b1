"""Groups of commands that are imported when they are named, and words of other tools that are understood."""

from collections.abc import Mapping, Sequence
from importlib import import_module

import click


class LazyGroup(click.Group):
    """A group that knows its commands as `name -> module`; each module has a `command`."""

    def __init__(
        self,
        name: str,
        modules: Mapping[str, str],
        help_text: str,
        *,
        aliases: Mapping[str, str] | None = None,
        hints: Mapping[str, str] | None = None,
        params: Sequence[click.Parameter] = (),
    ) -> None:
        """Take `aliases` (another word for a command) and `hints` (what a word of another tool is called here)."""
        super().__init__(name, help=help_text, no_args_is_help=True, params=list(params))
        self._modules = modules
        self._aliases = aliases or {}
        self._hints = hints or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Name them in the order of the table."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import one."""
        module = self._modules.get(self._aliases.get(cmd_name, cmd_name))
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command meant; a word of another tool gets a hint."""
        if hint := self._hints.get(args[0]):
            raise click.UsageError(f"there is no {args[0]} here; use `dlroverctl {hint}`.", ctx)
        return super().resolve_command(ctx, args)


def noun(name: str, verbs: Sequence[str], help_text: str) -> LazyGroup:
    """Make a noun's group; its verbs are the modules of its package."""
    return LazyGroup(name, {verb: f"dlroverd.cli.{name}.{verb.replace('-', '_')}" for verb in verbs}, help_text)
