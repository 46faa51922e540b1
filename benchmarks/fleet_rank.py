"""The rank of benchmarks/fleet_losses.py: gloo all_reduce steps of about 20 ms, under any launcher, for ever.

    python fleet_rank.py NOTES

Appends `born AT` for each process of each round, and from rank 0 `step AT` for each step done, in monotonic seconds,
to the one file NOTES that all hosts see.
"""

import sys
import time

BORN = time.monotonic()

import torch  # noqa: E402 - what comes before is timed
import torch.distributed as dist  # noqa: E402

with open(sys.argv[1], "a", encoding="utf-8", buffering=1) as notes:
    notes.write(f"born {BORN}\n")
    dist.init_process_group("gloo")
    for step in range(10**9):
        dist.all_reduce(torch.ones(1024))
        if dist.get_rank() == 0:
            notes.write(f"step {time.monotonic()}\n")
            print(f"step {step}", flush=True)
        time.sleep(0.02)
