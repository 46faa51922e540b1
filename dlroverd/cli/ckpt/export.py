"""`dlroverctl ckpt export`: the tensors of a checkpoint for the rest of the world."""

import os
import subprocess

import click

from dlroverd.cli.ckpt.where import existing
from dlroverd.cli.endings import CommandError

_PROGRAM = "dlroverd_train.checkpoint.export"


@click.command("export")
@click.argument("path")
@click.option("--safetensors", "out", required=True, metavar="OUT", help="The folder to make.")
@click.option("--step", type=click.IntRange(min=0), help="This step; else the newest.")
@click.option("--part", default="", help="Only what is below this name of the state, without it, such as model.")
@click.option("--python", metavar="PATH", help="An interpreter with torch and dlroverd-train[safetensors].")
def command(path: str, out: str, step: int | None, part: str, python: str | None) -> None:
    """Write the whole tensors of a checkpoint in a folder of this host as safetensors.

    The interpreter is that of your virtual environment, as for a job, unless --python names another.
    """
    from dlroverd_train.vault import stored

    from dlroverd.config.resolve import Submitter, pythons

    found = next((each for each in stored.steps(existing(path)) if step in (None, each.step)), None)
    if found is None:
        wanted = "no checkpoint" if step is None else f"no checkpoint of step {step}"
        raise CommandError(f"{path} has {wanted}; see `dlroverctl ckpt list {path}`.")
    own = Submitter.current().python
    interpreter = python or pythons(os.environ.get("VIRTUAL_ENV", ""), own)[0]
    words = [interpreter, "-m", _PROGRAM, found.folder, "--safetensors", out, "--part", part]
    try:
        done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    except OSError as error:
        raise CommandError(f"{interpreter}: {error.strerror}; name an interpreter with --python.") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        if "No module named" in said:
            said += "; name an interpreter that has torch and dlroverd-train[safetensors] with --python"
        raise CommandError(f"{interpreter}: {said}.")
