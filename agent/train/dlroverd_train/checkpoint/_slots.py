"""A rank's arena: which slot takes the next step, and how the step gets there."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch.distributed.checkpoint import DefaultSavePlanner

from dlroverd_train.checkpoint._envelopes import envelope
from dlroverd_train.checkpoint._planning import Agreed
from dlroverd_train.vault import layout, plans

LEAST_BLOBS = 1 << 16
"""Bytes that a slot has at least for values that are no tensors: they may grow."""

_PLACE = struct.Struct("<QQ")
_CHUNK = 8 << 20
_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14
_STEP = 4 << 20


Threads = ThreadPoolExecutor


class Memory:
    """The vault's memory in this process."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._map = mmap.mmap(descriptor, size)
        self.view = memoryview(self._map)

    def populate(self, at: int, size: int) -> None:
        """Make the page tables of a range, so that the first save finds them; does nothing where the kernel cannot."""
        try:
            for start in range(at, at + size, _STEP):
                self._map.madvise(_POPULATE_WRITE, start, min(_STEP, at + size - start))
        except OSError:
            pass

    def arena(self, at: int, size: int) -> memoryview:
        """Give a range."""
        return self.view[at : at + size]


class Step(NamedTuple):
    """What a save is called."""

    step: int
    sequence: int
    timeline: bytes


class Arena:
    """The slots of one plan. `latest` is the slot that must outlive the next save: the last one saved, or loaded."""

    def __init__(self, at: int, memory: memoryview, agreed: Agreed) -> None:
        self.at, self._memory, self.agreed = at, memory, agreed
        self._plan = plans.pack(agreed.plan, agreed.template)
        self._start = layout.pages(layout.PAGE + len(self._plan))
        self._tensors = layout.pages(agreed.span)
        self.latest: int | None = None
        self.slots, self._room = 0, 0
        self._targets: dict[int, list[torch.Tensor]] = {}
        self._split(layout.read_head(memory))

    def known(self) -> bool:
        """Say whether the arena's plan is there already, left by the same rank before a restart."""
        head = layout.read_head(self._memory)
        kept = layout.plan_of(self._memory, head) if head else None
        return bool(head and kept and head.plan == self.agreed.digest and plans.unpack(kept)[0] == self.agreed.plan)

    def unmade(self) -> bool:
        """Say whether whoever made it was killed before it was whole: then it holds no step."""
        return layout.read_head(self._memory) is None

    def make(self) -> None:
        """Write the plan and, into each slot, all that no save changes."""
        self._memory[:8] = bytes(8)
        for slot in range(layout.MOST_SLOTS):
            layout.set_state(self._memory, slot, layout.EMPTY)
        self._memory[layout.PAGE : layout.PAGE + len(self._plan)] = self._plan
        self._split(None)
        for slot in range(self.slots):
            base = self._slot_at(slot)
            for each in self.agreed.plan.tensors:
                around = envelope(getattr(torch, each.dtype), each.sizes)
                at = base + each.at
                self._memory[at - len(around.head) : at] = around.head
                self._memory[at + around.size : at + around.size + len(around.tail)] = around.tail
        plan = self.agreed.plan
        digest = self.agreed.digest
        layout.write_head(
            self._memory,
            layout.Head(self.slots, plan.rank, plan.world, len(self._plan), digest, zlib.crc32(self._plan)),
        )

    def holds(self, blobs: Sequence[bytes]) -> bool:
        """Say whether values that are no tensors fit into a slot."""
        return sum(map(len, blobs)) + _PLACE.size * len(blobs) <= self._room

    def claim(self, timeline: bytes) -> int | None:
        """Take the slot for the next step of a timeline; None if those that may be written are frozen."""
        ages = {each.slot: (each.entry.timeline == timeline, each.entry.sequence) for each in layout.held(self._memory)}
        for slot in sorted(self.candidates(), key=lambda slot: (slot in ages, ages.get(slot))):
            before = layout.state(self._memory, slot)
            layout.set_state(self._memory, slot, layout.CLAIMED if before == layout.COMPLETE else layout.WRITING)
            if not layout.frozen(self._memory, slot):
                layout.set_state(self._memory, slot, layout.WRITING)
                return slot
            layout.set_state(self._memory, slot, before)
        return None

    def candidates(self) -> list[int]:
        """Give the slots that may be written when they are not frozen."""
        return [slot for slot in range(self.slots) if slot != self.latest]

    def write(
        self,
        slot: int,
        step: Step,
        planner: DefaultSavePlanner,
        blobs: Sequence[bytes],
        threads: Threads | None,
    ) -> None:
        """Fill a claimed slot, and say so last."""
        base = self._slot_at(slot)
        self._copy(slot, planner, threads)
        blobs_at, agreed = base + self._tensors, self.agreed
        table, owned, end = self._write_blobs(blobs_at, blobs)
        where = (base, agreed.length, blobs_at, end, owned, table)
        entry = layout.Entry(step.step, step.sequence, step.timeline, agreed.digest, *where)
        layout.write_entry(self._memory, slot, entry)
        layout.set_state(self._memory, slot, layout.COMPLETE)
        self.latest = slot

    def _copy(self, slot: int, planner: DefaultSavePlanner, threads: Threads | None) -> None:
        targets = self._targets.get(slot) or self._views(slot)
        self._targets[slot] = targets
        sources = [planner.resolve_data(item) for item in self.agreed.items[: len(targets)]]
        both = zip(targets, sources)  # noqa: B905 - Python 3.9
        pairs = [(target, source) for target, source in both if isinstance(source, torch.Tensor)]
        copy_all(pairs, threads)

    def _views(self, slot: int) -> list[torch.Tensor]:
        base = self._slot_at(slot)
        return [view(self._memory, base, each) for each in self.agreed.plan.tensors]

    def _write_blobs(self, at: int, blobs: Sequence[bytes]) -> tuple[int, int, int]:
        """Write blobs behind the table of their places; give the table's checksum, the owned bytes, and all bytes."""
        places, end = [], _PLACE.size * len(blobs)
        for blob in blobs:
            places.append(_PLACE.pack(end, len(blob)))
            self._memory[at + end : at + end + len(blob)] = blob
            end += len(blob)
        table = b"".join(places)
        self._memory[at : at + len(table)] = table
        return zlib.crc32(table), sum(map(len, blobs[: len(self.agreed.plan.marks)])), end

    def _slot_at(self, slot: int) -> int:
        return self._start + slot * (self._tensors + self._room)

    def _split(self, head: layout.Head | None) -> None:
        """Divide what is behind the plan: as the head says, or into as many slots as there is room for."""
        least = slot_size(self.agreed, LEAST_BLOBS)
        left = len(self._memory) - self._start
        self.slots = head.slots if head else max(2, min(layout.MOST_SLOTS, left // least))
        self._room = left // self.slots // layout.PAGE * layout.PAGE - self._tensors


def slot_size(agreed: Agreed, blobs: int) -> int:
    """Say how many bytes a slot needs."""
    return layout.pages(agreed.span) + layout.pages(max(blobs, LEAST_BLOBS))


def arena_size(agreed: Agreed, blobs: int, slots: int) -> int:
    """Say how many bytes an arena needs; `blobs` is what is set aside for values that are no tensors."""
    plan = layout.pages(layout.PAGE + len(plans.pack(agreed.plan, agreed.template)))
    return plan + slots * slot_size(agreed, blobs)


def view(memory: memoryview, base: int, tensor: plans.Tensor) -> torch.Tensor:
    """Give a tensor of a slot, in place."""
    dtype = getattr(torch, tensor.dtype)
    size = torch.Size(tensor.sizes)
    if not size.numel():
        return torch.empty(size, dtype=dtype)
    at = base + tensor.at
    return torch.frombuffer(memory[at : at + size.numel() * dtype.itemsize], dtype=dtype).view(size)


def blob(memory: memoryview, entry: layout.Entry, number: int) -> bytes:
    """Give a copy of a value of a slot that is no tensor."""
    at, length = _PLACE.unpack_from(memory, entry.blobs_at + number * _PLACE.size)
    return bytes(memory[entry.blobs_at + at : entry.blobs_at + at + length])


def threads_for(ranks: int) -> Threads | None:
    """Give the threads that copy: none where torch itself uses several, or where there is one CPU for each rank."""
    count = min(4, len(os.sched_getaffinity(0)) // max(1, ranks))
    return (
        ThreadPoolExecutor(count, thread_name_prefix="snapshot") if count > 1 and torch.get_num_threads() == 1 else None
    )


Pair = tuple[torch.Tensor, torch.Tensor]


def copy_all(pairs: Sequence[Pair], threads: Threads | None) -> None:
    """Copy each second tensor into the first."""
    if threads is None:
        _copy_each(pairs)
    else:
        list(threads.map(_copy_each, _shares(pairs)))


def _shares(pairs: Sequence[Pair]) -> Iterator[list[Pair]]:
    """Cut large tensors and gather small ones, into shares of about _CHUNK bytes."""
    share: list[Pair] = []
    size = 0
    for pair in (each for whole in pairs for each in _cut(*whole)):
        share.append(pair)
        size += pair[0].nbytes
        if size >= _CHUNK:
            yield share
            share, size = [], 0
    if share:
        yield share


def _cut(target: torch.Tensor, source: torch.Tensor) -> list[Pair]:
    if target.nbytes <= _CHUNK or not source.is_contiguous():
        return [(target, source)]
    step = _CHUNK // target.element_size()
    flat, values = target.view(-1), source.view(-1)
    return list(zip(flat.split(step), values.split(step)))  # noqa: B905 - Python 3.9


def _copy_each(pairs: Sequence[Pair]) -> None:
    with torch.no_grad():
        for target, source in pairs:
            target.copy_(source)
