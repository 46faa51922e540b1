"""An unchanged DistributedDataParallel script that one of its ranks may hold up.

`slow_rank.py FOLDER STEPS SLEEP_S BUSY_S`: each step sleeps, as for a device, and keeps a CPU busy. While FOLDER/slow-2
exists, rank 2 sleeps longer by what that says in seconds.
"""

import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

folder, steps, sleep_s, busy_s = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
torch.set_num_threads(1)
dist.init_process_group("gloo")
slow = folder / f"slow-{os.environ['RANK']}"
model = nn.parallel.DistributedDataParallel(nn.Linear(32, 32))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for _ in range(steps):
    time.sleep(sleep_s + (float(slow.read_text() or 0) if slow.exists() else 0.0))
    began = time.thread_time()
    while time.thread_time() - began < busy_s:
        pass
    model(torch.ones(4, 32)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
dist.destroy_process_group()
