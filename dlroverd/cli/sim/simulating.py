"""How `sim run` and `sim trace` run the simulator: as a program of its own, since the command line imports no core."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from dlroverd.cli.endings import CommandError, Exit

_PROGRAM = "dlroverd.testing.simulator"


def scenario(function: Callable[..., None]) -> Callable[..., None]:
    """Add what both verbs are told: the file, and what to use in place of its own figures."""
    for decorator in (
        click.option("--nodes", type=click.IntRange(min=1), help="How many nodes its first group has, instead."),
        click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How long it runs, instead."),
        click.option("--seed", type=click.IntRange(min=0), help="The seed of all chance, instead."),
        click.argument("file", type=click.Path()),
    ):
        function = decorator(function)
    return function


def lines(verb: str, file: str, asked: dict[str, Any]) -> Iterator[str]:
    """Run the simulator and give what it prints, line by line; CommandError says what is wrong with the file."""
    options = [f"--{name}={value}" for name, value in asked.items() if value is not None]
    words = [sys.executable, "-m", _PROGRAM, verb, *options, "--", file]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        if program.stdout is None:
            raise AssertionError("a pipe was asked for")
        try:
            for line in program.stdout:
                if line.startswith(('{"error"', '{"seed"')):
                    _explain(json.loads(line))
                yield line
        except BaseException:  # Ctrl-C too, and a reader that has seen enough: it is not to run on
            program.terminate()
            raise
    if program.returncode:
        raise CommandError(f"the simulator ended with {program.returncode}; what it printed above says why")


def _explain(said: dict[str, Any]) -> None:
    if "error" in said:
        raise CommandError(said["error"], Exit.USAGE)
    raise CommandError(
        f"a promise was broken: {said['broken']}\nThis is a bug in dlroverd; please report it with the file and "
        f"seed {said['seed']}."
    )
