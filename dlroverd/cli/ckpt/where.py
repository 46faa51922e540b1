"""`JOB|PATH`: the checkpoints that the log has of a job, or those in a folder of this host."""

import os
from pathlib import Path

import click

from dlroverd.cli.endings import CommandError


def _job_or_path(_: click.Context, __: click.Parameter, value: str) -> int | str:
    if os.sep in value or not value.isdecimal():
        return value
    if not int(value):
        raise click.BadParameter("jobs are counted from 1")
    return int(value)


job_or_path = click.argument("where", metavar="JOB|PATH", callback=_job_or_path)


def existing(path: str) -> str:
    """Give a path of checkpoints that is there. Raises CommandError."""
    if not Path(path).is_dir():
        raise CommandError(f"{path} is no folder on this host: name the path that the job gave its Checkpointer.")
    return path
