"""Ranks that keep every step in the job's checkpoint memory, and say where they began: `from_memory.py PATH`.

They end a few steps after a restart.
"""

import os
import sys
import time

import torch
import torch.distributed as dist
from dlroverd_train.checkpoint import Checkpointer

dist.init_process_group("gloo")
checkpointer = Checkpointer(sys.argv[1])
state: dict[str, object] = {"values": torch.zeros(1000), "step": 0}
step = checkpointer.load(state) or 0
values = state["values"]
assert checkpointer.last_load
assert isinstance(values, torch.Tensor)
found = values.unique().tolist() == [float(step)] and state["step"] == step
os.write(1, f"loaded {step} from {checkpointer.last_load.source or 'nothing'}, whole: {found}\n".encode())
last = step + 3 if os.environ["TORCHELASTIC_RESTART_COUNT"] != "0" else 1 << 30
while step < last:
    step += 1
    dist.barrier()
    saved = checkpointer.save(step, {"values": torch.full((1000,), float(step)), "step": step})
    os.write(1, f"step {step}{'' if saved.in_memory else f' is not kept: {saved.why}'}\n".encode())
    time.sleep(0.01)
dist.barrier()
dist.destroy_process_group()
