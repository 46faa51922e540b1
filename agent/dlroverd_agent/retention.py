"""How long the output of ranks is kept after the agent forgot them.

A rank's directory is also the mark that its key was started: it goes only when its name cannot come again.
"""

import shutil
import time
from pathlib import Path

from dlroverd_agent.launchers.files import RankFiles, key_of

SWEEP_EVERY_S = 86400.0


def sweep(ranks: Path, before: float) -> None:
    """Delete what was forgotten before the time `before` (wall clock, seconds). Blocking."""
    for directory in ranks.iterdir():
        try:
            old = RankFiles(directory).forgotten.lstat().st_mtime < before
        except (FileNotFoundError, NotADirectoryError):
            continue
        if old:
            shutil.rmtree(directory)


def set_aside(ranks: Path) -> None:
    """Rename what was forgotten: the log that is followed from here on may give the same names anew. Blocking."""
    for directory in ranks.iterdir():
        if key_of(directory.name) is not None and RankFiles(directory).forgotten.exists():
            directory.rename(directory.with_name(f"{directory.name}.{time.time_ns()}"))
