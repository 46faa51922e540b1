"""The page docs/cli.md, made from the commands' own help: `python -m dlroverd.cli.reference FILE`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from dlroverd.cli import endings
from dlroverd.cli.app import root

_SHORT_CUTS = {"ps": "job list", "run": "job run", "submit": "job submit", "logs": "job logs", "why": "job why"}
_CODES = {
    endings.Exit.DONE: "done",
    endings.Exit.REFUSED: "refused",
    endings.Exit.USAGE: "what was typed or written cannot be used",
    endings.Exit.UNREACHABLE: "the daemon cannot be reached",
    endings.Exit.TIMED_OUT: "it did not answer in time",
    endings.Exit.JOB_FAILED: "the job failed or was cancelled",
    endings.Exit.GAVE_UP: "the job failed after all its restarts",
}
_INTRODUCTION = """\
# dlroverctl

`dlroverctl NOUN VERB`; plurals are understood. The daemon is that of `--address`, `$DLROVERD_ADDRESS`, or
`/run/dlroverd/dlroverd.sock`. Data goes to stdout and nothing else does; `-o json` gives one object with `version` and
`kind`, the fields of `dlroverd.model.view` beside them. This page is made from `--help`."""


def page() -> str:
    """Make the page."""
    cuts = ", ".join(f"`{cut}` is `{verb}`" for cut, verb in _SHORT_CUTS.items())
    codes = "\n".join(f"| {code.value} | {meaning} |" for code, meaning in _CODES.items())
    sections = [
        _INTRODUCTION,
        f"Short cuts: {cuts}.",
        f"| exit code | |\n|---|---|\n{codes}\n| 128 + n | signal n ended it; 130 is Ctrl-C |",
        *(f"## {path}\n\n```text\n{text}\n```" for path, text in _helps(root, "dlroverctl", None)),
    ]
    return "\n\n".join(sections) + "\n"


def _helps(group: click.Group, path: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield each command's path and help, those of short cuts under their full name only."""
    with click.Context(group, info_name=path.rpartition(" ")[2], parent=parent, terminal_width=110) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from _helps(command, f"{path} {name}", context)
            elif command is not None and (parent is not None or name not in _SHORT_CUTS):
                own = click.Context(command, info_name=name, parent=context, terminal_width=110)
                yield f"{path} {name}", "\n".join(line.rstrip() for line in command.get_help(own).splitlines())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
