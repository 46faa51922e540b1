"""The rank that benchmarks/recovery.py kills: a DDP loop on gloo that notes when what happened.

Knows nothing of any launcher but torchrun's environment. Appends JSON lines to the file named in its first argument. In
its first life rank 1 kills itself, after step 20 and as many seconds as its second argument says; if negative, never.
With a third argument its model has as many megabytes and each step is saved: in the memory of a vault, or with
torch.save, as the fourth says; the folder is the fifth. With `digits` as the third it is examples/digits.py.
"""

import itertools
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

BORN = time.time()
NOTES = sys.argv[1]
RANK = int(os.environ["RANK"])
LIVES_S = float(sys.argv[2]) if sys.argv[2:] else 0.0
LIFE = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
WHAT, HOW, FOLDER = (*sys.argv[3:], "", "", "")[:3]
DIGITS = str(Path(__file__).parents[1] / "examples" / "digits.py")


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
trains_until = time.time() + LIVES_S * (LIFE == 0)


def stepped(step: int) -> None:
    """Note the first step, and die after one when it is time."""
    if step == 1:
        note("step")
    if step >= (5 if HOW else 20) and LIFE == 0 and RANK == 1 and LIVES_S >= 0 and time.time() > trains_until:
        note("kill")
        os.kill(os.getpid(), signal.SIGKILL)


if WHAT == "digits":
    from torch.optim.optimizer import register_optimizer_step_post_hook

    steps = itertools.count(1)
    register_optimizer_step_post_hook(lambda *_: stepped(next(steps)))
    sys.argv = [DIGITS, "--epochs", str(10 if LIFE else 1000), "--save-every", "50", "--checkpoint-dir", FOLDER]
    runpy.run_path(DIGITS, run_name="__main__")
    raise SystemExit

dist.init_process_group("gloo")
note("group")
width, count = (4096, int(WHAT) // 64) if WHAT else (64, 1)
network = torch.nn.Sequential(*(torch.nn.Linear(width, width, bias=False) for _ in range(count)))
state: dict[str, Any] = {"model": network.state_dict(), "step": 0}
if HOW == "memory":
    from dlroverd_train.checkpoint import Checkpointer

    checkpointer = Checkpointer(FOLDER)
    checkpointer.load(state)
elif HOW == "file" and Path(FOLDER, "saved").exists():
    state = torch.load(Path(FOLDER, "saved"), weights_only=True)
network.load_state_dict(state["model"])
note("loaded")
model = DistributedDataParallel(network)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
begun = int(state["step"])
for step in itertools.count(begun + 1):
    optimizer.zero_grad()
    model(torch.randn(8, width)).sum().backward()
    optimizer.step()
    if HOW == "memory":
        checkpointer.save(step, {"model": network.state_dict(), "step": step})
    elif HOW == "file" and RANK == 0:
        torch.save({"model": network.state_dict(), "step": step}, Path(FOLDER, "saving"))
        Path(FOLDER, "saving").rename(Path(FOLDER, "saved"))
    if RANK == 0:
        print(f"step {step}", flush=True)
    stepped(step - begun)
    if step >= begun + (3 if WHAT else 40) and (LIFE or LIVES_S < 0):
        break
    time.sleep(0.01)
dist.barrier()
dist.destroy_process_group()
