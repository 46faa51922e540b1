"""A plain torchrun script: rank 1 is killed after a few saves, and all go on from memory in the next round."""

import os
import signal
import sys
from typing import Any

import torch
import torch.distributed as dist
from dlroverd_train.checkpoint import Checkpointer

dist.init_process_group("gloo")
checkpointer = Checkpointer(sys.argv[1])
state: dict[str, Any] = {"values": torch.zeros(1000), "step": 0}
step = checkpointer.load(state) or 0
assert checkpointer.last_load
loaded = f"loaded {step} from {checkpointer.last_load.source!r} {state['values'].unique().tolist()} {state['step']}\n"
os.write(1, loaded.encode())  # one write: lines of ranks do not mix
last = step + 3
while step < last:
    step += 1
    dist.barrier()
    checkpointer.save(step, {"values": torch.full((1000,), float(step)), "step": step})
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and dist.get_rank() == 1:
    os.kill(os.getpid(), signal.SIGKILL)
dist.barrier()
dist.destroy_process_group()
