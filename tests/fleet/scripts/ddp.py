"""Train on every rank for a time, and print when each step was done: `step N at SECONDS`.

    python ddp.py STEPS [SECONDS A STEP]

A small DDP loop over gloo. It goes on from the step that rank 0 keeps in the file DDP_STATE, if that is set.
"""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

steps, pause_s = int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.05
state = Path(os.environ["DDP_STATE"]) if "DDP_STATE" in os.environ else None
dist.init_process_group("gloo")
torch.set_num_threads(1)
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(16, 16))
optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
first = torch.zeros(1, dtype=torch.long)
if dist.get_rank() == 0 and state and state.exists():
    first[0] = int(state.read_text())
dist.broadcast(first, src=0)
for step in range(int(first) + 1, steps + 1):
    model(torch.randn(8, 16)).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    if dist.get_rank() == 0 and state:
        new = state.with_suffix(".new")
        new.write_text(str(step))
        new.rename(state)
    print(f"step {step} at {time.time():.6f}", flush=True)
    time.sleep(pause_s)
dist.destroy_process_group()
print(f"rank {os.environ['RANK']} has finished", flush=True)
