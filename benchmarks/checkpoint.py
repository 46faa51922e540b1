"""What a checkpoint costs a training, beside the floor (a copy into warm memory), dd, torch.save and torch's own DCP.

`--gigabytes` is the state of each rank. Every ratio is of one run on one machine. Seconds of the slowest rank.

DLRover's Flash Checkpoint needs its Python: `python -m venv V; V/bin/pip install torch==2.13.0 dlrover`, then
`--dlrover V/bin/python`. It writes what it persists without a sync.
"""

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from figures import compare, show

Times = dict[str, list[float]]

_HERE = Path(__file__).parent

# ours, against, target
RATIOS = (
    ("save, warm", "floor: copy, warm", 1.1),
    ("save, first", "floor: copy, warm", 1.3),
    ("save, warm", "torch.save", None),
    ("save, warm", "DCP save", None),
    ("save, warm", "DCP async_save, thread", None),
    ("save, warm", "DCP async_save, process", None),
    ("save, warm", "DCP async_save, stager reused", None),
    ("save, warm", "DLRover save", None),
    ("save, first", "DCP async_save, stager reused, first", None),
    ("save, first", "DLRover save, first", None),
    ("save during a persist", "floor: copy, warm", None),
    ("persisted and durable", "floor: dd with fsync", 1.3),
    ("persisted and durable", "torch.save and fsync", None),
    ("persisted and durable", "DLRover persisted, not synced", None),
    ("step while persisting", "step", 1.05),
    ("ten steps and a save", "ten steps", 1.03),
    ("load from memory", "floor: copy, warm", 1.15),
    ("load from storage", "DCP load", None),
)


def measure(command: list[str], world: int) -> Times:
    """Let the ranks measure; give the slowest's times of each run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = []
    for number in range(world):
        env = {**os.environ, "RANK": str(number), "WORLD_SIZE": str(world), "LOCAL_RANK": str(number)}
        env |= {"LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        env |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        ranks.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True))
    each = [json.loads(process.communicate()[0].splitlines()[-1]) for process in ranks]
    return {name: [max(times) for times in zip(*(one[name] for one in each), strict=True)] for name in each[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=0.5)
    parser.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--dlrover", help="a Python that has torch and DLRover")
    parser.add_argument("--folder", type=Path, help="storage; else a temporary folder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for world in options.ranks:
        folder = Path(tempfile.mkdtemp(dir=options.folder))
        try:
            arguments = [str(folder), str(options.gigabytes), str(options.runs)]
            times = measure([sys.executable, str(_HERE / "checkpoint_rank.py"), *arguments], world)
            if options.dlrover:
                times |= measure([options.dlrover, str(_HERE / "checkpoint_dlrover.py"), *arguments], world)
        finally:
            shutil.rmtree(folder)
        about = f"{options.gigabytes:g} GB, {world} rank{'s' * (world > 1)}"
        for ours, other, target in (each for each in RATIOS if each[1] in times):
            figure = compare(f"checkpoint: {ours} ({about})", times[ours], other, times[other], target)
            show(figure, as_json=options.json)


if __name__ == "__main__":
    main()
