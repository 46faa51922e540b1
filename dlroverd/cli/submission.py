"""From the words after `run` or `submit` to a job: flags, a job file, or both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dlroverd.config.display import Display
    from dlroverd.config.flags import Flag
    from dlroverd.config.run_flags import RunLine
    from dlroverd.model.job import JobSpec

# A command's own flags: names, value, help.
Rows = Sequence[tuple[str, str, str]]

_FILE_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Submission:
    """A job as it will be submitted, what of it is shown, and the command's own options ("" for a switch)."""

    spec: "JobSpec"
    display: "Display"
    options: dict[str, str]


def own_flags(*rows: tuple[str, str, str]) -> tuple["Flag", ...]:
    """Make the flags of `run` and `submit` that are about the command: (names, value, help)."""
    from dlroverd.config.flags import Effect, Flag

    shared = (
        ("-f --file", "FILE", "a job file; flags and a script win over what it says"),
        ("--address", "ADDRESS", "where the daemon is, as unix:///path; else $DLROVERD_ADDRESS"),
    )
    return tuple(
        Flag(
            names=tuple(names.split()),
            metavar=value,
            effect=Effect.OPTION,
            key=names.split()[-1].lstrip("-").replace("-", "_"),
            help=text,
        )
        for names, value, text in (*rows, *shared)
    )


class WordsCommand(click.Command):
    """A command whose words are read by dlroverd.config.run_flags, not by click: no `--` is needed."""

    def __init__(self, name: str, rows: Rows, **attributes: object) -> None:
        """Take the command's own flags as rows of `own_flags`."""
        self._rows = rows
        super().__init__(
            name,
            params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED, metavar="SCRIPT [ARGS]...")],
            context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
            add_help_option=False,
            **attributes,  # type: ignore[arg-type]  # click's own
        )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the flags of the other parser."""
        from dlroverd.config import run_flags

        with formatter.section("Flags (before the script; torchrun's are honoured, or refused by name)"):
            for text in run_flags.usage(own_flags(*self._rows)).splitlines():
                formatter.write(f"{text}\n")


def read(context: click.Context, words: Sequence[str], rows: Rows) -> Submission:
    """Read the words of a WordsCommand with these rows; -h shows help and exits.

    Raises:
        ConfigError: with a sentence for what cannot be.
    """
    from dlroverd.config import run_flags
    from dlroverd.config.jobfile import draft
    from dlroverd.config.resolve import Submitter, resolve
    from dlroverd.config.yaml_source import read_file

    flags = own_flags(*rows)
    line = run_flags.parse(words, flags)
    if line.asks_help or not words:
        click.echo(context.get_help())
        context.exit()
    options = {"address": context.find_root().params.get("address") or "", **line.options}
    place = _job_file_at(line, words)
    if place is not None:
        options["file"] = words[place]
        line = run_flags.parse([*words[:place], *words[place + 1 :]], flags)
        options |= line.options
    document = line.document
    if "file" in options:
        document = run_flags.over(document, read_file(options["file"]))
    return Submission(resolve(draft(document), Submitter.current()), line.display, options)


def _job_file_at(line: "RunLine", words: Sequence[str]) -> int | None:
    """Find a job file among the words: it stands where a script would, and flags may follow it."""
    data = line.document.data
    named = str(data.get("command", ""))
    return len(words) - len(data["args"]) - 1 if named.endswith(_FILE_ENDINGS) else None
