"""Counts steps, asks at each whether to save, and does: each rank leaves which steps it saved, and why, in a folder.

A save is over when all ranks have made it, as with a checkpoint of which each has a part.
"""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import sys
import time
from pathlib import Path

from dlroverd_train import checkpointed, notice, should_checkpoint

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
ranks = range(int(os.environ["WORLD_SIZE"]))
newest = folder / "newest"


def file(of: int) -> Path:
    """Where a rank of this world leaves what it saved."""
    return folder / f"rank{of}-round{int(os.environ['DLROVERD_ROUND']):03}"


def all_saved(step: int) -> bool:
    return all(file(of).exists() and f"\n{step} " in f"\n{file(of).read_text()}" for of in ranks)


step = int(newest.read_text()) if newest.exists() else 0
print(f"begins at {step}", flush=True)
while True:
    step += 1
    time.sleep(0.02)
    if should_checkpoint(step):
        found = notice()
        with open(file(rank), "a", encoding="utf-8") as saved:
            saved.write(f"{step} {found.reason if found else 'its interval'}\n")
        while not all_saved(step):
            time.sleep(0.005)
        if rank == 0:
            newest.write_text(str(step))
            checkpointed(step)
