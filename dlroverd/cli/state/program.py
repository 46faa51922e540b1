"""What works on the daemon's files instead of speaking to it, as a program of the daemon's own."""

import subprocess
import sys

import click


def run(module: str, *words: str) -> None:
    """Run a program of the daemon's on its host, and end as it does."""
    done = subprocess.run([sys.executable, "-m", module, *words], check=False)
    if done.returncode:
        raise click.exceptions.Exit(done.returncode)
