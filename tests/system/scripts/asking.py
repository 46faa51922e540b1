"""Counts steps, asks at each whether to save, and does: each rank leaves which steps it saved, and why, in a folder."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import sys
import time
from pathlib import Path

from dlroverd_train import checkpointed, notice, should_checkpoint

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
newest = folder / "newest"
step = int(newest.read_text()) if newest.exists() else 0
print(f"begins at {step}", flush=True)
while True:
    step += 1
    time.sleep(0.02)
    if should_checkpoint(step):
        found = notice()
        with open(folder / f"rank{rank}", "a", encoding="utf-8") as file:
            file.write(f"{step} {found.reason if found else 'its interval'}\n")
        if rank == 0:
            newest.write_text(str(step))
            checkpointed(step)
