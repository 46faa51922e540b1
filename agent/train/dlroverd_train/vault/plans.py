"""The plan of an arena, which the rank writes behind the head: a JSON object, and on a node's first rank `.metadata`.

Every rank of a plan holds the same digest. `tensors` and `blobs` say what lies in a slot and where; those that go into
the rank's file come first.
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple

_LENGTH = struct.Struct("<Q")


class Tensor(NamedTuple):
    """One tensor, or a shard of one, in a slot: its raw values lie `at` bytes behind the slot's tensors.

    `name` and `offsets` (None of a whole value) are those of torch's MetadataIndex, `dtype` is torch's name for it.
    """

    name: str
    offsets: list[int] | None
    dtype: str
    sizes: list[int]
    at: int


class Plan(NamedTuple):
    """How one rank's part of a checkpoint lies in a slot, and which file it becomes."""

    rank: int
    world: int
    local: list[int]
    """The ranks that share this node's vault."""
    file: str
    tensors: list[Tensor]
    blobs: list[str]
    marks: list[int]
    """The numbers, over all ranks, of those blobs that go into the file: the first ones."""


def pack(plan: Plan, template: bytes) -> bytes:
    """Make the bytes of a plan; `template` is empty on all ranks of a node but its first."""
    values: dict[str, Any] = plan._asdict()
    body = json.dumps(values).encode()
    return _LENGTH.pack(len(body)) + body + template


def unpack(packed: bytes) -> tuple[Plan, bytes]:
    """Read the bytes of a plan: the plan and the template."""
    (length,) = _LENGTH.unpack_from(packed)
    values = json.loads(packed[_LENGTH.size : _LENGTH.size + length])
    values["tensors"] = [Tensor(*each) for each in values["tensors"]]
    return Plan(**values), packed[_LENGTH.size + length :]
