"""A small training over gloo, with a data loader, whose ranks do as they are told: hang, or take long over something.

`FOLDER/order` is a JSON object: `id`, `kind`, `rank` (the one concerned), `for_s`. A rank looks for it at each step and
follows each id once. What hangs goes on once there is `FOLDER/over-ID`; what takes long, after `for_s` seconds.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from dlroverd_train import events, phase, progress
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, IterableDataset

FOLDER = Path(sys.argv[1])
RANK = int(os.environ["RANK"])
STEP_S = float(sys.argv[2]) if len(sys.argv) > 2 else 0.1


def order() -> dict[str, Any]:
    try:
        return dict(json.loads((FOLDER / "order").read_text()))
    except (OSError, ValueError):
        return {}


def is_over(told: dict[str, Any]) -> bool:
    return (FOLDER / f"over-{told['id']}").exists()


class Numbers(IterableDataset):  # type: ignore[type-arg] # torch of some versions has no such argument
    def __iter__(self) -> Any:
        while True:
            self.fetch()
            yield torch.randn(8, 64)

    def fetch(self) -> None:
        told = order()
        if told.get("kind") == "loader" and told["rank"] == RANK:
            while not is_over(told):
                time.sleep(0.2)


def spin(told: dict[str, Any]) -> None:
    number = 0
    while number % 5_000_000 or not is_over(told):
        number += 1


def read(told: dict[str, Any]) -> None:
    path = FOLDER / f"fifo-{told['id']}"
    os.mkfifo(path)
    with open(path, "rb") as file:
        file.read(1)


def wait(told: dict[str, Any]) -> None:
    while not is_over(told):
        time.sleep(0.2)


def skip(other: Any) -> None:
    """Go past the collective that the others are at, to one of another group."""
    dist.all_reduce(torch.ones(4), group=other)


def save_checkpoint(model: torch.nn.Module, told: dict[str, Any]) -> None:
    until = time.monotonic() + told["for_s"]
    while time.monotonic() < until and not is_over(told):
        torch.save(model.state_dict(), FOLDER / "checkpoint.pt")
        time.sleep(0.05)


def evaluate(model: torch.nn.Module, told: dict[str, Any]) -> None:
    until = time.monotonic() + told["for_s"]
    with torch.no_grad():
        while time.monotonic() < until and not is_over(told):
            model(torch.randn(256, 64))
            time.sleep(0.01)


def compile_again(for_s: float) -> None:
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        torch._dynamo.reset()
        layers = torch.nn.Sequential(*(torch.nn.Linear(8, 8) for _ in range(40)))
        torch.compile(layers, backend="aot_eager")(torch.randn(2, 8))


def follow(told: dict[str, Any], model: Any, other: Any, step: int) -> None:
    """Do what is to be done before a step; of what takes long, `_all` has every rank do it, `_told` says so."""
    kind, mine = told["kind"], told["rank"] == RANK
    if not mine and not kind.endswith("_all"):
        return
    kind, for_s = kind.removesuffix("_all"), told.get("for_s", 0.0)
    match kind:
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "spin":
            spin(told)
        case "read":
            read(told)
        case "wait":
            wait(told)
        case "astray":
            dist.all_reduce(torch.ones(4), group=other if mine else None)
        case "skip":
            skip(other)
        case "save":
            save_checkpoint(model.module, told)
        case "save_told":
            with events.save(step):
                save_checkpoint(model.module, told)
        case "evaluate":
            evaluate(model.module, told)
        case "evaluate_told":
            with events.evaluate():
                evaluate(model.module, told)
        case "idle_told":
            with phase("idle"):
                time.sleep(for_s)
        case "compile":
            compile_again(for_s)


def main() -> None:
    dist.init_process_group("gloo")
    other = dist.new_group()
    model = DistributedDataParallel(torch.nn.Linear(64, 64))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    done = order().get("id", 0) if int(os.environ["TORCHELASTIC_RESTART_COUNT"]) else 0
    first = FOLDER / "slow"
    if first.exists():
        time.sleep(float(first.read_text()))
    reached = FOLDER / "reached"
    begin = int(reached.read_text() or 0) + 1 if reached.exists() else 0
    for step, batch in enumerate(DataLoader(Numbers(), batch_size=None, num_workers=1), begin):
        told = order()
        if told and told["id"] != done:
            done = told["id"]
            follow(told, model, other, step)
        optimizer.zero_grad()
        model(batch).sum().backward()
        optimizer.step()
        progress(step)
        if RANK == 0:
            reached.write_text(str(step))
        time.sleep(STEP_S)


if __name__ == "__main__":
    main()
