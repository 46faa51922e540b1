"""Loading from the memory of this node's vault: torch's own planner asks, the slots of all local ranks answer."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch.distributed.checkpoint import FileSystemReader, Metadata, StorageReader
from torch.distributed.checkpoint.planner import LoadItemType, LoadPlan, LoadPlanner
from torch.futures import Future

from dlroverd_train.checkpoint._planning import SCRATCH
from dlroverd_train.checkpoint._slots import Threads, blob, copy_all, view
from dlroverd_train.vault import layout, plans, stored


class Save(NamedTuple):
    """One save, as all ranks know it."""

    step: int
    timeline: str
    sequence: int
    plan: str
    world: int


class Part(NamedTuple):
    """What a slot has of a save."""

    memory: memoryview
    at: int
    slot: int
    rank: int
    entry: layout.Entry


def parts_in(arenas: Sequence[tuple[int, memoryview]]) -> dict[Save, list[Part]]:
    """Give the saves of which arenas hold whole parts."""
    found: dict[Save, list[Part]] = {}
    for at, memory in arenas:
        head = layout.read_head(memory)
        for each in layout.held(memory) if head else ():
            entry = each.entry
            assert head  # noqa: S101 - or nothing was yielded
            save = Save(entry.step, entry.timeline.hex(), entry.sequence, entry.plan.hex(), head.world)
            found.setdefault(save, []).append(Part(memory, at, each.slot, head.rank, entry))
    return found


class MemoryReader(StorageReader):
    """Reads one save from the slots that hold its parts. Everything is copied."""

    def __init__(self, parts: Sequence[Part], threads: Threads | None) -> None:
        self._threads = threads
        self._tensors: dict[Any, tuple[Part, plans.Tensor]] = {}
        self._blobs: dict[str, tuple[Part, int]] = {}
        self._template = b""
        for part in parts:
            head = layout.read_head(part.memory)
            packed = layout.plan_of(part.memory, head) if head else None
            if not packed:
                raise ValueError(f"the memory of rank {part.rank} has no plan")
            plan, template = plans.unpack(packed)
            self._template = self._template or template
            for tensor in plan.tensors:
                key = (tensor.name, None if tensor.offsets is None else tuple(tensor.offsets))
                self._tensors[key] = (part, tensor)
            self._blobs.update({name: (part, number) for number, name in enumerate(plan.blobs)})

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        """Memory has no name."""
        del checkpoint_id
        return False

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """Do nothing: one reader reads one save."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """Have torch's own reader read what its own writer has made."""
        del args, kwargs
        with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
            with open(os.path.join(folder, stored.METADATA), "wb") as file:
                file.write(self._template)
            return FileSystemReader(folder).read_metadata()

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool) -> None:
        """Do nothing: the plans in memory say where everything is."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """Leave it."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """Leave them."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Copy what the plan asks for. Raises KeyError for what this node does not hold."""
        copies = []
        for item in plan.items:
            if item.type == LoadItemType.BYTE_IO:
                part, number = self._blobs[item.storage_index.fqn]
                planner.load_bytes(item, io.BytesIO(blob(part.memory, part.entry, number)))
                continue
            offset = item.storage_index.offset
            part, tensor = self._tensors[item.storage_index.fqn, None if offset is None else tuple(offset)]
            source = view(part.memory, part.entry.tensors_at, tensor)
            for dimension, (start, length) in enumerate(zip(item.storage_offsets, item.lengths)):  # noqa: B905 - Python 3.9
                source = source.narrow(dimension, start, length)
            target = planner.resolve_tensor(item).detach()
            if target.size() != source.size():
                raise ValueError(f"{item.storage_index.fqn} has another shape: {target.size()}, saved {source.size()}")
            copies.append((item, target, source))
        copy_all([(target, source) for _, target, source in copies], self._threads)
        for item, target, _ in copies:
            planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done


__all__ = ["MemoryReader", "Part", "Save", "parts_in"]
