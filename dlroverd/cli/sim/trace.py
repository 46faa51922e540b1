"""`dlroverctl sim trace`: the faults of a scenario as a file, to read, change, and use in another one."""

from typing import Any

import click

from dlroverd.cli.sim import simulating


@click.command("trace")
@simulating.scenario
def command(file: str, **asked: Any) -> None:
    """Write the faults of a scenario out as YAML: put `faults: {trace: FILE}` into a scenario to have exactly these."""
    for line in simulating.lines("trace", file, asked):
        click.echo(line, nl=False)
