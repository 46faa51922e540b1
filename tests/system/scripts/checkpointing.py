"""Saves its next step each time that a file `save-STEP` appears in its folder, and leaves there what became of it."""

import sys
import time
from pathlib import Path

import torch
from dlroverd_train.checkpoint import Checkpointer

folder = Path(sys.argv[1])
checkpointer = Checkpointer(folder / "path")
state = {"weights": torch.zeros(1000)}
step = checkpointer.load(state) or 0
assert checkpointer.last_load
assert float(state["weights"][0]) == step
(folder / f"loaded-{step}").write_text(checkpointer.last_load.source)
while not (folder / "finish").exists():
    if not (folder / f"save-{step + 1}").exists():
        time.sleep(0.01)
        continue
    step += 1
    state["weights"].fill_(step)
    checkpointer.save(step, state, persist=True)
    (persisted,) = checkpointer.wait()
    said = folder / f"said-{step}.new"
    said.write_text(persisted.folder or persisted.failed)
    said.rename(folder / f"said-{step}")
