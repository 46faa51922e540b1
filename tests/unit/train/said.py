"""Runs a script as a rank would be run, and reads what it said."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

EVENTS = "from dlroverd_train import events\n"
# Into the same file, as if no agent had named it.
OWN = EVENTS + "import os; events.to_file(os.environ.pop('DLROVERD_EVENTS_FILE'))\n"


@dataclass(frozen=True, slots=True)
class Said:
    """How a script ended, and the events in its file: what is no JSON fails the test."""

    code: int
    out: str
    err: str
    events: list[dict[str, Any]]

    def one(self, name: str) -> dict[str, Any]:
        """Give the only event of a name."""
        (event,) = [each for each in self.events if each["n"] == name]
        return event


def run(script: str, file: Path, *options: str, **env: str) -> Said:
    """Run a Python script with the events file of a rank; `options` are the interpreter's."""
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        env={**os.environ, "DLROVERD_EVENTS_FILE": str(file), **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr, read(file))


def read(file: Path) -> list[dict[str, Any]]:
    """Read an events file as its agent does: blank lines are skipped."""
    if not file.is_file():
        return []
    return [json.loads(each, parse_constant=_refuse) for each in file.read_bytes().split(b"\n") if each]


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")
