"""One rank of benchmarks/checkpoint.py: prints how long each thing took, a list of seconds for each."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from dlroverd_train.checkpoint import Checkpointer
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType

State = dict[str, Any]
COPY = "floor: copy, warm"
_TENSORS = 64


class Bench:
    def __init__(self, folder: Path, gigabytes: float, runs: int) -> None:
        self.folder, self.runs = folder, runs
        self.rank, self.world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        self.times: dict[str, list[float]] = {}
        self.size = int(gigabytes * 1e9) // 4 // _TENSORS
        self.state = self.make(1.0)

    def make(self, value: float) -> State:
        """A state of this rank's own, as a shard is."""
        return {f"rank{self.rank}.layer{each}": torch.full((self.size,), value) for each in range(_TENSORS)}

    def time(self, name: str, do: Callable[..., Any], *arguments: Any, **named: Any) -> None:
        self.together()
        begun = time.perf_counter()
        do(*arguments, **named)
        self.times.setdefault(name, []).append(time.perf_counter() - begun)

    def steps(self, name: str, meanwhile: threading.Thread, a: torch.Tensor, b: torch.Tensor) -> None:
        """Time the steps that are made while a thread lives, in the mean: the first after a save alone says little."""
        self.together()
        meanwhile.start()
        begun, steps = time.perf_counter(), 0
        while not steps or meanwhile.is_alive():
            work(a, b)
            steps += 1
        self.times.setdefault(name, []).append((time.perf_counter() - begun) / steps)
        meanwhile.join()

    def together(self) -> None:
        if self.world > 1:
            dist.barrier()

    def floors(self) -> None:
        """The floors are timed beside what they are the floor of: the machine's speed changes."""
        self.copied = self.make(0.0)
        self.pool = ThreadPoolExecutor(min(4, len(os.sched_getaffinity(0)) // self.world))  # as many as save uses
        self.copy()

    def copy(self) -> None:
        list(self.pool.map(lambda name: self.copied[name].copy_(self.state[name]), self.state))

    def dd(self, raw: Path) -> None:
        out = self.folder / f"dd-{self.rank}"
        command = ["dd", f"if={raw}", f"of={out}", "bs=8M", "conv=fsync", "status=none"]
        self.time("floor: dd with fsync", subprocess.run, command, check=True)
        out.unlink()

    def ours(self) -> None:
        bytes_ = self.size * 4 * _TENSORS
        checkpointer = Checkpointer(
            self.folder / "ours", memory=self.world * (3 * bytes_ + (64 << 20)), on_busy="wait"
        )  # fmt: skip
        settle(checkpointer)
        self.time("save, first", checkpointer.save, 0, self.state)
        for step in range(1, self.runs + 1):
            self.time(COPY, self.copy)
            self.time("save, warm", checkpointer.save, step, self.state)
        a, b = torch.randn(256, 256), torch.randn(256, 256)
        for step in range(100, 100 + self.runs):
            checkpointer.save(step, self.state)
            self.steps("step", threading.Thread(target=time.sleep, args=(1.0,)), a, b)
            checkpointer.save(step + 1000, self.state, persist=True)
            self.steps("step while persisting", threading.Thread(target=checkpointer.wait), a, b)
            checkpointer.save(step + 2000, self.state, persist=True)
            self.time("save during a persist", checkpointer.save, step + 3000, self.state)
            checkpointer.wait()
        raw = Path("/dev/shm") / f"dlroverd-bench-{os.getpid()}"
        raw.write_bytes(bytes(bytes_))
        try:
            for step in range(200, 200 + self.runs):
                self.dd(raw)
                self.time("persisted and durable", self.persist, checkpointer, step)
        finally:
            raw.unlink()
        loaded = self.make(0.0)
        for _ in range(self.runs):
            self.time(COPY, self.copy)
            self.time("load from memory", checkpointer.load, loaded)
            assert checkpointer.last_load
            assert checkpointer.last_load.source == "memory"
        assert all(torch.equal(loaded[name], value) for name, value in self.state.items())
        checkpointer.close()
        other = Checkpointer(self.folder / "ours", name="empty")
        for _ in range(self.runs):
            self.time("load from storage", other.load, loaded)
        assert other.last_load
        assert other.last_load.source != "memory"
        other.close()

    def training(self) -> None:
        """Steps of a model of 500 MB, on its own and with a save at every tenth."""
        model = torch.nn.Sequential(*(torch.nn.Linear(3952, 3952) for _ in range(8)))
        checkpointer = Checkpointer(self.folder / "training", memory=self.world * (3 * 500_000_000 + (64 << 20)))
        settle(checkpointer)
        inputs = torch.randn(32, 3952)

        def ten_steps(save: bool) -> None:
            for _ in range(10):
                model(inputs).square().mean().backward()
                with torch.no_grad():
                    for weights in model.parameters():
                        assert weights.grad is not None
                        weights.sub_(weights.grad, alpha=1e-6)
                        weights.grad = None
            if save:
                checkpointer.save(0, {"model": model.state_dict()})

        ten_steps(True)
        for _ in range(2):
            self.time("ten steps", ten_steps, False)
            self.time("ten steps and a save", ten_steps, True)
        checkpointer.close()

    def persist(self, checkpointer: Checkpointer, step: int) -> None:
        checkpointer.save(step, self.state, persist=True)
        assert not any(each.failed for each in checkpointer.wait())

    def peers(self) -> None:
        for run in range(self.runs):
            where = self.folder / f"torch-{self.rank}-{run}"
            self.time("torch.save", torch.save, self.state, where)
            begun = time.perf_counter()
            with where.open("rb") as file:
                os.fsync(file.fileno())
            self.times.setdefault("torch.save and fsync", []).append(
                self.times["torch.save"][-1] + time.perf_counter() - begun
            )
            where.unlink()
        for run in range(self.runs):
            self.time("DCP save", dcp.save, self.state, checkpoint_id=self.folder / f"dcp-{run}")
        loaded = self.make(0.0)
        for run in range(self.runs):
            self.time("DCP load", dcp.load, loaded, checkpoint_id=self.folder / f"dcp-{run}")
        for name in ("thread", "process", "stager reused"):
            stager = DefaultStager(StagingOptions(False, False, False, False)) if name == "stager reused" else None
            kind = AsyncCheckpointerType.PROCESS if name == "process" else AsyncCheckpointerType.THREAD
            for run in range(self.runs + 1):
                futures: list[Any] = []
                where = self.folder / f"async-{run}"
                self.time(
                    f"DCP async_save, {name}" + ", first" * (run == 0), save_async, self.state, futures,
                    checkpoint_id=where, async_stager=stager, async_checkpointer_type=kind,
                )  # fmt: skip
                futures[0].result()
                self.together()
                if self.rank == 0:
                    shutil.rmtree(where)


def save_async(state: State, futures: list[Any], **how: Any) -> None:
    futures.append(dcp.async_save(state, **how))


def settle(checkpointer: Checkpointer) -> None:
    """Wait until the vault's memory is brought in, as a job's is long before its first save."""
    vault = checkpointer._vault  # noqa: SLF001 - what is measured
    while os.fstat(vault.descriptor).st_blocks * 512 < vault.size:
        time.sleep(0.1)
    time.sleep(2.0)


def work(a: torch.Tensor, b: torch.Tensor) -> None:
    for _ in range(100):
        a @ b


def main() -> None:
    torch.set_num_threads(1)
    bench = Bench(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
    dist.init_process_group("gloo")
    bench.floors()
    bench.ours()
    bench.training()
    bench.peers()
    print(json.dumps(bench.times), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
