"""Trainings with Hugging Face's Trainer: a small GPT-2, made here, whose every step depends on the order of the data.

And on the random states, for its dropout, unless the data loader is a stateful one: that takes more random numbers.
"""

import hashlib
import os
import random
from typing import Any

import torch
from dlroverd_train.checkpoint import CheckpointError, Keep
from dlroverd_train.huggingface import FlashCheckpoints
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments, set_seed

from tests.checkpoint.roles import Voice, join


def ready() -> None:
    """Import what the first training would."""
    GPT2LMHeadModel(GPT2Config(n_layer=1, n_head=1, n_embd=8, n_positions=8, vocab_size=8))


def training(
    say: Voice, path: str, rendezvous: str, out: str, *, stateful: bool = False, flash: bool = True, **arguments: Any
) -> None:
    """Resume and train; say the loss of each step and, at the end, what the weights are."""
    join(rendezvous)
    set_seed(3)
    size = {"n_layer": 1, "n_head": 2, "n_embd": 16, "n_positions": 16, "vocab_size": 32}
    drop = dict.fromkeys(("attn_pdrop", "embd_pdrop", "resid_pdrop"), 0.0 if stateful else 0.1)
    config = GPT2Config(**size, **drop, bos_token_id=0, eos_token_id=1)
    chance = random.Random(5)
    rows = [[chance.randrange(32) for _ in range(8)] for _ in range(40)]
    dataset = [{"input_ids": row, "labels": row} for row in rows]
    strategy = {"save_strategy": "steps", "save_steps": 4, "max_steps": 14, **arguments}
    args = TrainingArguments(
        out, per_device_train_batch_size=8 // int(os.environ["WORLD_SIZE"]), logging_steps=1, report_to=[],
        use_cpu=True, ddp_find_unused_parameters=False, ignore_data_skip=stateful, disable_tqdm=True, **strategy,
    )  # fmt: skip
    trainer = Trainer(GPT2LMHeadModel(config), args, train_dataset=dataset, eval_dataset=dataset[:8])
    trainer.accelerator.dataloader_config.use_stateful_dataloader = stateful
    trainer.add_callback(Teller(say))
    folder = None
    if flash:
        try:
            checkpoints = FlashCheckpoints(trainer, path, keep=Keep(last=1, best=1))
        except CheckpointError as error:
            say(refused=str(error))
            return
        folder = checkpoints.found()
        loaded = checkpoints.checkpointer.last_load
        say(resumed=loaded and loaded.step, source=loaded and loaded.source)
    trainer.train(resume_from_checkpoint=folder)
    say(weights=digest(trainer.model), gone=folder is None or not os.path.exists(folder), out=sorted(os.listdir(out)))
    os._exit(0)  # what the Trainer leaves behind of its process group ends slowly, or not at all


def digest(model: torch.nn.Module) -> str:
    of = hashlib.sha256()
    for name, value in model.state_dict().items():
        of.update(name.encode() + value.numpy().tobytes())
    return of.hexdigest()


class Teller(TrainerCallback):  # type: ignore[misc] # transformers is not looked into
    def __init__(self, say: Voice) -> None:
        self._say = say

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:
        del args, control
        if "loss" in logs:
            self._say(step=state.global_step, loss=logs["loss"])
