"""The rank that benchmarks/recovery.py kills: a small DDP loop on gloo that notes when what happened.

Knows nothing of any launcher but torchrun's environment. Appends JSON lines to the file named in its first argument. In
its first life rank 1 kills itself, after step 20 and as many seconds as its second argument says; if negative, never.
"""

import itertools
import json
import os
import signal
import sys
import time

BORN = time.time()
NOTES = sys.argv[1]
RANK = int(os.environ["RANK"])
LIVES_S = float(sys.argv[2]) if sys.argv[2:] else 0.0
LIFE = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def note(what: str, at: float | None = None) -> None:
    """Append one line; small appends are atomic."""
    line = json.dumps({"life": LIFE, "rank": RANK, "what": what, "at": at or time.time()})
    with open(NOTES, "a", encoding="utf-8") as file:
        file.write(line + "\n")


note("python", BORN)

import torch  # noqa: E402 - timed
import torch.distributed as dist  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402

note("imported")
dist.init_process_group("gloo")
note("group")
model = DistributedDataParallel(torch.nn.Linear(64, 64))
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
trains_until = time.time() + LIVES_S * (LIFE == 0)
for step in itertools.count(1):
    optimizer.zero_grad()
    model(torch.randn(8, 64)).sum().backward()
    optimizer.step()
    if step == 1:
        note("step")
    if RANK == 0:
        print(f"step {step}", flush=True)
    if step >= 20 and LIFE == 0 and RANK == 1 and LIVES_S >= 0 and time.time() > trains_until:
        note("kill")
        os.kill(os.getpid(), signal.SIGKILL)
    if step >= 40 and (LIFE or LIVES_S < 0):
        break
    time.sleep(0.01)
dist.destroy_process_group()
