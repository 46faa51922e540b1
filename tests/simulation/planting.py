"""Plants a bug: copies the source, changes the copy, and runs the simulator on it in a process of its own.

So the real code carries no hook for it, and a bug that no longer fits its place fails the test instead of passing.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Bug:
    """`edits` are (file, right, wrong); one of `caught_by` has to find it."""

    name: str
    caught_by: frozenset[str]
    edits: tuple[tuple[str, str, str], ...]


def plant(bug: Bug, where: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dlroverd", where / "dlroverd", ignore=ignore)
    shutil.copytree(ROOT / "agent" / "dlroverd_agent", where / "dlroverd_agent", ignore=ignore)
    for file, right, wrong in bug.edits:
        path = where / file
        text = path.read_text()
        assert text.count(right) == 1, f"{file} has the place of this bug {text.count(right)} times"
        path.write_text(text.replace(right, wrong))


def simulate(*words: str, where: Path | None = None, hash_seed: str = "0") -> dict[str, Any]:
    """Run the simulator in a fresh interpreter; the last thing it prints."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    if where is not None:
        environment["PYTHONPATH"] = str(where)
    done = subprocess.run(
        [sys.executable, "-m", "dlroverd.testing.simulator", *words],
        capture_output=True,
        text=True,
        cwd=where or ROOT,
        env=environment,
        check=False,
    )
    assert done.stdout, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
