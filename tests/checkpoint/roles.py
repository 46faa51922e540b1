"""What ranks do in these tests. Each says what it sees as JSON lines; every number in a state follows from its step."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from dlroverd_train import events
from dlroverd_train.checkpoint import Checkpointer, CheckpointError, Keep
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

State = dict[str, Any]


class Voice:
    """A rank's pipe to the test. What is said in one write is there even if the rank is killed after it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def __call__(self, **facts: Any) -> None:
        os.write(self._pipe, json.dumps(facts).encode() + b"\n")


def ready() -> None:
    """Import what ranks will: an optimizer's first step imports more than torch itself."""
    make("plain")


def join(rendezvous: str) -> None:
    """Join the process group that the environment describes."""
    torch.set_num_threads(1)
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=world)


def plain_state(step: int, megabytes: float = 1.0) -> State:
    values = int(megabytes * 1e6 / 4 / 4)
    return {
        "model": {f"layer{each}": torch.full((values,), float(step)) for each in range(4)},
        "short": torch.full((7, 3), step, dtype=torch.int16),
        "scalar": torch.tensor(step),
        "empty": torch.zeros(0, 4),
        "step": step,
        "notes": [f"step {step}"] * (step % 5 + 1),
    }


def tensors(state: Any) -> Iterator[torch.Tensor]:
    for value in state.values() if isinstance(state, dict) else state if isinstance(state, list) else ():
        if isinstance(value, torch.Tensor):
            yield value.to_local() if isinstance(value, DTensor) else value
        else:
            yield from tensors(value)


def steps_in(state: State) -> list[float]:
    """Every different number in a state: one, unless it is torn."""
    found = {float(value) for each in tensors(state) for value in each.float().unique().tolist()}
    return sorted(found | ({float(state["step"])} if "step" in state else set()))


def saver(say: Voice, path: str, megabytes: float) -> None:
    """Load, say what it is, and save step after step until killed."""
    torch.set_num_threads(1)
    checkpointer = Checkpointer(path)
    state = plain_state(-1, megabytes)
    del state["notes"]
    step = checkpointer.load(state)
    say(loaded=step, numbers=steps_in(state))
    step = step or 0
    while True:
        step += 1
        state = plain_state(step, megabytes)
        say(saving=step)
        saved = checkpointer.save(step, state)
        say(saved=step if saved.in_memory else None)


def script(say: Voice, path: str, orders: list[list[Any]], **options: Any) -> None:
    """Do one thing after the other, as a test asks, and say how it went."""
    torch.set_num_threads(1)
    keep = Keep(*options.pop("keep")) if "keep" in options else None
    checkpointer = Checkpointer(path, keep=keep, **options)
    state = plain_state(0)
    events.to_file(os.environ.get("DLROVERD_EVENTS_FILE", ""))
    for order, *values in orders:
        try:
            if order == "save":
                step, extra, persist, *metric = values
                state = {**plain_state(step), **{key: EXTRAS[key](step) for key in extra}}
                saved = checkpointer.save(step, state, persist=persist, metric=metric[0] if metric else None)
                say(saved=saved.in_memory, planned=saved.planned, why=saved.why, persisting=saved.persisting)
            elif order == "train":  # what an optimizer on the CPU does to the state after the save
                for each in tensors(state):
                    each.fill_(values[0])
                say(trained=True)
            elif order == "load":
                state = {**plain_state(-1), **{key: EXTRAS[key](-1) for key in values[0]}}
                step = checkpointer.load(state)
                assert checkpointer.last_load
                say(numbers=steps_in(state), notes=state["notes"], **checkpointer.last_load._asdict())
            else:
                say(persisted=[each._asdict() for each in checkpointer.wait(60)])
        except CheckpointError as error:
            say(refused=str(error))
    say(done=True)


EXTRAS: dict[str, Callable[[int], Any]] = {
    "tensor": lambda step: torch.full((1000,), float(step)),
    "function": lambda _: EXTRAS["function"],
    "long": lambda step: "x" * (100_000 * (step + 2)),
    "sparse": lambda _: torch.eye(3).to_sparse(),
}


def make(kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    model: nn.Module = nn.Sequential(nn.Linear(64, 128), nn.Linear(128, 33))
    if kind == "fsdp":
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for layer in model.children():
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    elif kind == "ddp":
        model = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.0)
    model(torch.ones(2, 64)).sum().backward()
    optimizer.step()
    return model, optimizer


def set_to(state: State, step: int) -> State:
    with torch.no_grad():
        for each in tensors(state):
            each.fill_(step)
    return {**state, "step": step}


def state_of(kind: str) -> State:
    model, optimizer = make(kind)
    weights, moments = get_state_dict(model, optimizer)
    return set_to({"model": weights, "optimizer": moments}, -1)


def trainer(
    say: Voice, path: str, rendezvous: str, kind: str, *, until: int = 0, persist: bool = False, odd: int = 0
) -> None:
    """Load with all ranks and save in step with them, until killed or for `until` steps."""
    join(rendezvous)
    checkpointer = Checkpointer(path, patience=1.0 if odd else 60.0)
    state = state_of(kind)
    step = checkpointer.load(state)
    assert checkpointer.last_load
    say(loaded=step, numbers=steps_in(state), source=checkpointer.last_load.source)
    step = step or 0
    last = step + until
    while not until or step < last:
        step += 1
        if step == odd and dist.get_rank() == 1:
            state["mine"] = torch.zeros(5)  # of this rank alone
        state = set_to(state, step)
        dist.barrier()  # as a training step's gradients would
        say(saving=step)
        saved = checkpointer.save(step, state, persist=persist)
        say(saved=step if saved.in_memory else None, planned=saved.planned, why=saved.why)
    if persist:
        say(persisted=[each._asdict() for each in checkpointer.wait(60)])
    say(done=True)


def stock_loader(say: Voice, checkpoint: str, rendezvous: str, kind: str) -> None:
    """Load with torch alone."""
    import torch.distributed.checkpoint as dcp  # noqa: PLC0415 - what a script without us would write

    join(rendezvous)
    state = state_of(kind)
    dcp.load(state, checkpoint_id=checkpoint)
    say(numbers=steps_in(state))


def loader(say: Voice, path: str, rendezvous: str, kind: str) -> None:
    """Load once, with as many ranks as there are."""
    join(rendezvous)
    checkpointer = Checkpointer(path)
    state = state_of(kind)
    step = checkpointer.load(state)
    assert checkpointer.last_load
    say(loaded=step, numbers=steps_in(state), **checkpointer.last_load._asdict())


def stock_plain(say: Voice, checkpoint: str, rendezvous: str) -> None:
    """Load what one rank without a group has saved, with torch alone."""
    import torch.distributed.checkpoint as dcp  # noqa: PLC0415 - what a script without us would write

    del rendezvous
    state = plain_state(-1)
    dcp.load(state, checkpoint_id=checkpoint, no_dist=True)
    say(numbers=steps_in(state))
