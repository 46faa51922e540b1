"""A small collective job: every rank needs the others in every step. A restart goes on a thousand steps further."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import sys
import time

import torch
import torch.distributed as dist

steps = int(sys.argv[1])
dist.init_process_group("gloo")
total = torch.zeros(1)
first = 1000 * int(os.environ["TORCHELASTIC_RESTART_COUNT"])
for step in range(first + 1, first + steps + 1):
    total += 1
    dist.all_reduce(total)
    print(f"step {step}", flush=True)
    time.sleep(0.02)
dist.destroy_process_group()
print(f"rank {os.environ['RANK']} has finished", flush=True)
