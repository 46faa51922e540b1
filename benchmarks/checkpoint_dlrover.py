"""DLRover's Flash Checkpoint for checkpoint.py: one rank, as checkpoint_rank.py is one of ours.

Run by a Python with torch and `pip install dlrover`, and nothing of ours. There is no agent of DLRover's: its rank 0
starts the saver that persists, as it does by itself then.
"""

import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist
from dlrover.trainer.torch.flash_checkpoint.ddp import (  # type: ignore[import-not-found]  # not ours
    DdpCheckpointer,
    StorageType,
)

_TENSORS = 64


def main() -> None:
    torch.set_num_threads(1)
    folder, gigabytes, runs = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    size = int(gigabytes * 1e9) // 4 // _TENSORS
    state = {f"rank{rank}.layer{each}": torch.full((size,), 1.0) for each in range(_TENSORS)}
    checkpointer = DdpCheckpointer(str(folder / "dlrover"), local_shard_num=world, global_shard_num=world)
    times: dict[str, list[float]] = {}
    for step in range(runs + 1):
        dist.barrier()
        begun = time.perf_counter()
        checkpointer.save_checkpoint(step, state, storage_type=StorageType.MEMORY)
        name = "DLRover save" + ", first" * (step == 0)
        times.setdefault(name, []).append(time.perf_counter() - begun)
    for step in range(runs + 1, 2 * runs + 1):
        dist.barrier()
        begun = time.perf_counter()
        checkpointer.save_checkpoint(step, state, storage_type=StorageType.DISK)
        until_saved(folder / "dlrover" / "dlrover_latest.txt", step)
        times.setdefault("DLRover persisted, not synced", []).append(time.perf_counter() - begun)
    print(json.dumps(times), flush=True)
    for saver in multiprocessing.active_children():
        saver.kill()
    Path(f"/dev/shm/ckpt_shm_{rank}").unlink(missing_ok=True)  # it leaves it
    os._exit(0)


def until_saved(tracker: Path, step: int) -> None:
    """Wait as its own wait_latest_checkpoint() does, which fails while there is no checkpoint."""
    while not tracker.exists() or tracker.read_text() != str(step):
        time.sleep(0.005)


if __name__ == "__main__":
    main()
