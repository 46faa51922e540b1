"""The rank of benchmarks/bus_digits.py: examples/digits.py; with `--events` it says all that the bus can carry.

The last line of rank 0 is how long the training took, from its first step to its end, and how much of that went into
saying so, both in seconds.
"""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch
from dlroverd_train import events
from torch.optim.optimizer import register_optimizer_step_post_hook

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

digits: Any = importlib.import_module("digits")
steps_at: list[float] = []
told_s: list[float] = []
whole_save = digits.save


def note(*_: Any) -> None:
    """Note a step; the time before the first one is the start of a process."""
    steps_at.append(time.monotonic())


def tell(optimizer: torch.optim.Optimizer, *_: Any) -> None:
    """Say a step, a reading of it, and every tenth step a moment that the log keeps."""
    began = time.perf_counter()
    with events.step(len(steps_at)):
        events.gauge("lr", optimizer.param_groups[0]["lr"])
    if len(steps_at) % 10 == 0:
        events.log({"step": len(steps_at), "rank": int(os.environ["RANK"])})
    told_s.append(time.perf_counter() - began)


def save(folder: Path, step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Save, and say so."""
    with events.save(step):
        whole_save(folder, step, model, optimizer)


register_optimizer_step_post_hook(note)
if "--events" in sys.argv:
    sys.argv.remove("--events")
    events.install()
    register_optimizer_step_post_hook(tell)
    digits.save = save
digits.main()
if os.environ["RANK"] == "0":
    print(f"trained for {time.monotonic() - steps_at[0]:.6f} s, told for {sum(told_s):.6f} s", flush=True)
