"""Checkpoints that cost a training step the copy of its state, and are in storage soon after.

    checkpointer = Checkpointer("/mnt/checkpoints/run7")
    state = {"model": model, "optimizer": optimizer, "step": 0}
    step = checkpointer.load(state) or 0
    ...
    checkpointer.save(step, state, persist=step % 100 == 0)

Built on torch.distributed.checkpoint: what lands in storage loads with its plain `load`, without this package.
"""

from dlroverd_train.checkpoint.checkpointer import Checkpointer, CheckpointError, Persisted, Saved
from dlroverd_train.checkpoint.of_rank import OfRank
from dlroverd_train.checkpoint.restoring import Loaded
from dlroverd_train.vault.retention import Keep

__all__ = ["CheckpointError", "Checkpointer", "Keep", "Loaded", "OfRank", "Persisted", "Saved"]
