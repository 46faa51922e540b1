"""The rank of benchmarks/takeover.py: gloo all_reduce steps of about 20 ms, each noted by rank 0."""

import sys
import time

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
with open(sys.argv[1], "w", encoding="utf-8") as notes:
    for step in range(int(sys.argv[2])):
        dist.all_reduce(torch.ones(1024))
        time.sleep(0.02)
        if dist.get_rank() == 0:
            notes.write(f"{time.monotonic()}\n")
            notes.flush()
            print(f"step {step}", flush=True)
dist.destroy_process_group()
