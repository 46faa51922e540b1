"""Counts steps, and goes on from the last one it saved. It saves when there is a file `save` in its folder.

It says why it is stopped: when it is told, if its job has a signal for that, and when TERM comes.
"""

# ruff: noqa: T201 (what a rank has to say, it prints)

import os
import signal
import sys
import time
from pathlib import Path

from dlroverd_train import checkpointed, notice

folder, how = Path(sys.argv[1]), sys.argv[2]  # how it tells of a checkpoint: page, output or silent
saved = folder / "saved"


def told(*_: object) -> None:
    found = notice()
    print(f"told: {found.reason if found else 'nothing'}", flush=True)


def ended(*_: object) -> None:
    found = notice()
    print(f"ended: {found.reason if found else 'for nothing'}", flush=True)
    os._exit(0)


signal.signal(signal.SIGUSR1, told)
signal.signal(signal.SIGTERM, ended)
step = int(saved.read_text()) if saved.exists() else 0
print(f"begins at {step} as one of {os.environ['WORLD_SIZE']}", flush=True)
while True:
    step += 1
    print(f"step {step}", flush=True)
    if os.environ["RANK"] == "0" and (folder / "save").exists():
        (folder / "save").unlink()
        saved.write_text(str(step))
        if how == "page":
            checkpointed(step)
        elif how == "output":
            print(f"saved checkpoint at step {step}", flush=True)
    time.sleep(0.02)
