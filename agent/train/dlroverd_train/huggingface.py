"""Hugging Face's `Trainer` with flash checkpoints in place of its own.

    trainer = Trainer(model, args, train_dataset=dataset)
    flash = FlashCheckpoints(trainer, "/mnt/checkpoints/run7", memory=200_000_000_000)
    trainer.train(resume_from_checkpoint=flash.found())

`save_strategy` and `save_steps` say when, as ever. For trainings of one process and DDP.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import random
import shutil
import tempfile
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import get_model_state_dict, get_state_dict, set_state_dict
from torch.distributed.checkpoint.stateful import Stateful
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import WEIGHTS_NAME

from dlroverd_train.checkpoint import Checkpointer, CheckpointError, OfRank, Saved
from dlroverd_train.checkpoint._planning import SCRATCH

_PREFIX = "dlroverd-resume-"
_log = logging.getLogger(__name__)


class FlashCheckpoints(TrainerCallback):  # type: ignore[misc] # transformers is not looked into
    """Takes over the checkpoints of a trainer, and adds itself to its callbacks. Made by all ranks together.

    `saved` is what became of the last one in memory. Other arguments are those of `Checkpointer`; its `keep` knows the
    metrics of the evaluation of the same step, under `metric_for_best_model`.
    Raises CheckpointError for a trainer whose checkpoints cannot be taken over.
    """

    def __init__(self, trainer: Trainer, path: str | os.PathLike[str], **options: Any) -> None:
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise CheckpointError("FlashCheckpoints can resume one process and DDP: not FSDP, not DeepSpeed")
        if trainer.args.save_strategy == "best" or trainer.args.load_best_model_at_end:
            raise CheckpointError(
                "save_strategy='best' and load_best_model_at_end need the Trainer's own checkpoints: here, "
                "keep=Keep(last=1, best=1) keeps the best one"
            )
        self.checkpointer = Checkpointer(path, **options)
        self.saved: Saved | None = None
        self._trainer = trainer
        self._folder: str | None = None
        self._held = -1
        self._own = _Own()
        self._resized = self._waits = False
        trainer.add_callback(self)

    def found(self) -> str | None:
        """Give a folder from which `train` resumes the newest checkpoint; None if there is none. Call it on all ranks.

        It holds what the Trainer wants to read itself, the weights among it, and is gone after the first step.
        """
        state = {"model": get_model_state_dict(self._trainer.model), "trainer": "", "own": OfRank(self._own)}
        try:
            step = self.checkpointer.load(state)
        except CheckpointError:  # with another number of ranks there is nothing of the rank's own
            del state["own"]
            step = self.checkpointer.load(state)
            self._resized = True
        if step is None:
            return None
        self._folder = self._shared_folder(str(state["trainer"]))
        if not self._resized:
            ranks = self._trainer.args.world_size
            name = f"rng_state_{self._trainer.args.process_index}.pth" if ranks > 1 else "rng_state.pth"
            torch.save(self._own.random, os.path.join(self._folder, name))
        return self._folder

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> None:
        """Load what the Trainer does not read itself."""
        del control
        self._own.loader = parts["train_dataloader"] if args.ignore_data_skip else None
        if not self._folder:
            return
        loaded = self._state(state, parts)
        if self._resized:
            del loaded["own"]
        step = self.checkpointer.load(loaded)
        if step != state.global_step:
            raise CheckpointError(f"the Trainer resumes at step {state.global_step}, the newest checkpoint is {step}")
        set_state_dict(
            parts["model"], _plain(parts["optimizer"]), model_state_dict=loaded["model"],
            optim_state_dict=loaded["optimizer"],
        )  # fmt: skip

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        """Save instead of the Trainer."""
        del args
        self._clear()
        self._take_over(state, control, parts)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        """Save instead of the Trainer."""
        del args
        self._take_over(state, control, parts)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float],
        **parts: Any,
    ) -> None:  # fmt: skip
        """Save what waited for its metric."""
        del control
        if self._waits:
            name = args.metric_for_best_model or "loss"
            self._save(state, parts, metrics.get(name if name.startswith("eval_") else f"eval_{name}"))

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        """Wait until what was saved is in storage."""
        del args, state, control, parts
        self._clear()
        for each in self.checkpointer.wait():
            if each.failed:
                _log.warning("%s", each.failed)

    def _take_over(self, state: TrainerState, control: TrainerControl, parts: dict[str, Any]) -> None:
        if control.should_save:
            control.should_save = False
            self._waits = True
            if not control.should_evaluate:
                self._save(state, parts, None)

    def _save(self, state: TrainerState, parts: dict[str, Any], metric: float | None) -> None:
        self._waits = False
        self.saved = self.checkpointer.save(state.global_step, self._state(state, parts), persist=True, metric=metric)
        if self.saved.why:
            _log.warning("step %d: %s", state.global_step, self.saved.why)

    def _state(self, state: TrainerState, parts: dict[str, Any]) -> dict[str, Any]:
        weights, moments = get_state_dict(parts["model"], _plain(parts["optimizer"]))
        return {
            "model": weights,
            "optimizer": moments,
            "scheduler": parts["lr_scheduler"],
            "trainer": json.dumps(dataclasses.asdict(state)),
            "own": OfRank(self._own),
        }

    def _shared_folder(self, trainer_state: str) -> str:
        """Make this node's folder for what all of its ranks read."""
        folder = ""
        if self._trainer.args.local_process_index == 0:
            scratch = SCRATCH or tempfile.gettempdir()
            _clear_left(scratch)
            folder = tempfile.mkdtemp(prefix=_PREFIX, dir=scratch)
            self._held = _held(folder)
            torch.save(self._trainer.model.state_dict(), os.path.join(folder, WEIGHTS_NAME))
            with open(os.path.join(folder, TRAINER_STATE_NAME), "w", encoding="utf-8") as file:
                file.write(trainer_state)
        if self._trainer.args.world_size == 1:
            return folder
        mine, told = os.uname().nodename, [("", "")] * self._trainer.args.world_size
        dist.all_gather_object(told, (mine, folder))
        return next(where for node, where in told if node == mine and where)

    def _clear(self) -> None:
        """Remove the folder, which every rank has read."""
        if self._folder and self._held >= 0:
            shutil.rmtree(self._folder, ignore_errors=True)
            os.close(self._held)
        self._folder, self._held = None, -1


class _Own:
    """What a rank has for itself: random states as the Trainer keeps them, and the place of its data loader."""

    def __init__(self) -> None:
        self.random: dict[str, Any] = {}
        self.loader: Any = None

    def state_dict(self) -> dict[str, Any]:
        numbers = np.random.get_state()  # noqa: NPY002 - what the Trainer itself keeps
        states = {"python": random.getstate(), "numpy": numbers, "cpu": torch.random.get_rng_state()}
        if torch.cuda.is_available():
            states["cuda"] = torch.cuda.get_rng_state_all() if dist.is_initialized() else torch.cuda.get_rng_state()
        stateful = isinstance(self.loader, Stateful) and getattr(self.loader, "use_stateful_dataloader", True)
        return {"random": states, "loader": self.loader.state_dict() if stateful else None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.random = state["random"]
        if self.loader is not None and state["loader"] is not None:
            self.loader.load_state_dict(state["loader"])


def _held(folder: str) -> int:
    """Mark a folder as in use until the descriptor that this gives is closed. Raises OSError if it is already."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _clear_left(scratch: str) -> None:
    """Remove the folders of trainings that were killed before their first step."""
    for name in os.listdir(scratch):
        if name.startswith(_PREFIX):
            try:
                descriptor = _held(os.path.join(scratch, name))
            except OSError:  # in use, or another user's
                continue
            shutil.rmtree(os.path.join(scratch, name), ignore_errors=True)
            os.close(descriptor)


def _plain(optimizer: Any) -> torch.optim.Optimizer:
    """Give the optimizer that accelerate has wrapped."""
    plain: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return plain
