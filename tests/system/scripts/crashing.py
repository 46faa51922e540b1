"""A collective job in whose round r the rank that `plan.json` names ends as it says; the last round ends well."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import ctypes
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

# The step at which the rank ends: by then all have met in each collective before it.
FATAL_STEP = 3
STEPS = 6


def end(kind: str, folder: Path, life: int) -> None:
    """End as a program does of this kind; what a harness does from outside is waited for."""
    match kind:
        case "exception":
            raise ValueError(f"the batch {life} is bad")
        case "exit":
            print("giving up", flush=True)
            os._exit(3)  # by sys.exit, threads of torch now and then have Python abort on its way out
        case "segv":
            ctypes.string_at(0)
        case "abort":
            os.abort()
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "memory":
            bytearray(1 << 60)
        case "oom":
            Path((folder / "memory_group").read_text(), "cgroup.procs").write_text(str(os.getpid()))
            bytearray(1 << 30)
        case "disk":
            Path("/dev/full").write_text("x")
        case "port":
            socket.socket().bind(("127.0.0.1", int((folder / "port").read_text())))
        case _:
            (folder / f"ready-{life}").touch()
            time.sleep(3600)


def main() -> None:
    """Train, and end as planned."""
    folder = Path(sys.argv[1])
    plan = json.loads((folder / "plan.json").read_text())
    life = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    kind, victim = plan[life] if life < len(plan) else ("", -1)
    dist.init_process_group("gloo")
    total = torch.zeros(1)
    for step in range(1, STEPS + 1):
        dist.all_reduce(total)
        # Each life goes further than the one before, so none counts as fruitless.
        print(f"step {1000 * life + step}", flush=True)
        if step == FATAL_STEP and dist.get_rank() == victim:
            end(kind, folder, life)
    dist.destroy_process_group()


main()
