"""The head of an arena: plain integers that say which slot holds a whole step.

An arena is a range of the vault's memory that belongs to one rank and one plan: a page of head, the plan, the slots.
All numbers are little-endian. A slot is believed only while its state word says so and its entry fits its checksum;
readers copy the entry first and look at the word again afterwards. Whoever is killed in the middle of a write leaves
a slot that says WRITING, and nobody believes it.

The state word belongs to the rank, the frozen word to the vault, which counts there who reads the slot. A rank that
wants a slot says CLAIMED (what is in it is still whole), then looks at the frozen word; the vault raises the frozen
word, then looks at the state. So at least one of them sees the other.

For that a word must be seen before the other is looked at, and processors let a load overtake a store: see `_barrier`.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Union

MAGIC = b"DLRVARNA"
VERSION = 1
PAGE = 4096
MOST_SLOTS = 3
EMPTY, WRITING, CLAIMED, COMPLETE = range(4)

Buffer = Union[bytearray, memoryview]  # noqa: UP007 - Python 3.9

_HEAD = struct.Struct("<8sIIIIQ16sI")
_ENTRY = struct.Struct("<qQ16s16sQQQQQI")
_CHECKSUM = struct.Struct("<I")
_WORD = struct.Struct("<Q")
_SLOTS_AT, _SLOT = 512, 256
_FROZEN_AT, _ENTRY_AT = 8, 16


class Head(NamedTuple):
    """What an arena says of itself. `plan` is the digest (16 bytes) that all ranks of one plan share."""

    slots: int
    rank: int
    world: int
    plan_length: int
    plan: bytes
    plan_checksum: int


class Entry(NamedTuple):
    """One whole step. Offsets are bytes from the start of the arena.

    `timeline` names the run of ranks that wrote it and `sequence` counts that run's saves: equal on all ranks for one
    save, and never equal for two. The `tensors` bytes belong into the rank's file, then `owned` of the `blobs`: those
    behind the table of their places. `table_checksum` is that table's.
    """

    step: int
    sequence: int
    timeline: bytes
    plan: bytes
    tensors_at: int
    tensors: int
    blobs_at: int
    blobs: int
    owned: int
    table_checksum: int


class Held(NamedTuple):
    """A slot that can be believed, as of when it was looked at."""

    slot: int
    entry: Entry


def write_head(arena: Buffer, head: Head) -> None:
    """Make an arena known; call it when the plan behind it is whole."""
    packed = _HEAD.pack(MAGIC, VERSION, *head)
    arena[8 : len(packed) + 4] = (packed + _CHECKSUM.pack(zlib.crc32(packed)))[8:]
    arena[:8] = MAGIC


def read_head(arena: Buffer) -> Head | None:
    """Give the head; None if there is none, a torn one, or one of another version."""
    packed = bytes(arena[: _HEAD.size + 4])
    if packed[:8] != MAGIC or _CHECKSUM.unpack(packed[-4:])[0] != zlib.crc32(packed[:-4]):
        return None
    version, *fields = _HEAD.unpack(packed[:-4])[1:]
    return Head(*fields) if version == VERSION and 0 < fields[0] <= MOST_SLOTS else None


def plan_of(arena: Buffer, head: Head) -> bytes | None:
    """Give the plan behind the head; None if it is not the one that the head means."""
    plan = bytes(arena[PAGE : PAGE + head.plan_length])
    return plan if zlib.crc32(plan) == head.plan_checksum else None


def state(arena: Buffer, slot: int) -> int:
    """Give a slot's state word."""
    return int(_WORD.unpack_from(arena, _SLOTS_AT + slot * _SLOT)[0])


def set_state(arena: Buffer, slot: int, word: int) -> None:
    """Set a slot's state word. The words differ in one byte, so there is no half of a change."""
    arena[_SLOTS_AT + slot * _SLOT : _SLOTS_AT + slot * _SLOT + 1] = bytes((word,))
    _barrier()


def frozen(arena: Buffer, slot: int) -> int:
    """Say how many read a slot: above 0 it must not be written."""
    return int(arena[_SLOTS_AT + slot * _SLOT + _FROZEN_AT])


def set_frozen(arena: Buffer, slot: int, readers: int) -> None:
    """Set how many read a slot. The vault alone does."""
    at = _SLOTS_AT + slot * _SLOT + _FROZEN_AT
    arena[at : at + 1] = bytes((readers,))
    _barrier()


def write_entry(arena: Buffer, slot: int, entry: Entry) -> None:
    """Write what a slot holds. It is believed once its state word says COMPLETE."""
    at = _SLOTS_AT + slot * _SLOT + _ENTRY_AT
    packed = _ENTRY.pack(*entry)
    arena[at : at + len(packed) + 4] = packed + _CHECKSUM.pack(zlib.crc32(packed))


def read_entry(arena: Buffer, slot: int) -> Entry | None:
    """Give what a slot holds; None if it is torn, empty, or says what cannot be."""
    if state(arena, slot) not in {CLAIMED, COMPLETE}:
        return None
    at = _SLOTS_AT + slot * _SLOT + _ENTRY_AT
    packed = bytes(arena[at : at + _ENTRY.size + 4])
    if state(arena, slot) not in {CLAIMED, COMPLETE} or _CHECKSUM.unpack(packed[-4:])[0] != zlib.crc32(packed[:-4]):
        return None
    entry = Entry(*_ENTRY.unpack(packed[:-4]))
    fits = max(entry.tensors_at + entry.tensors, entry.blobs_at + entry.blobs) <= len(arena)
    return entry if fits and entry.owned <= entry.blobs else None


def held(arena: Buffer) -> Iterator[Held]:
    """Yield the slots of an arena that hold a whole step."""
    head = read_head(arena)
    for slot in range(head.slots if head else 0):
        entry = read_entry(arena, slot)
        if entry and head and entry.plan == head.plan:
            yield Held(slot, entry)


def _barrier() -> None:
    """Have what was stored seen by others before anything more is read.

    To take a lock is what Python has for that: a locked instruction on x86, one that orders both ways on 64-bit Arm. A
    new one each time, so that whoever is ended here leaves none taken.
    """
    threading.Lock().acquire(blocking=False)


def pages(size: int) -> int:
    """Round up to whole pages."""
    return (size + PAGE - 1) // PAGE * PAGE
