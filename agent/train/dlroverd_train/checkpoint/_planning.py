"""Who keeps what: torch's own planner decides, once for each shape of the state; the result is laid out as files.

Every rank's part of torch's global plan (each value once, spread over the ranks) becomes its file. What a node's ranks
hold and no file of theirs has (values that are the same on several nodes) is kept in memory beside it, so that a node
has in its own memory all that its ranks need.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemWriter, Metadata, SavePlan
from torch.distributed.checkpoint.planner import WriteItem, WriteItemType
from torch.distributed.checkpoint.storage import WriteResult
from torch.distributed.tensor import DTensor

from dlroverd_train.checkpoint._envelopes import ALIGN, envelope
from dlroverd_train.checkpoint._meeting import AbsentError, Meeting
from dlroverd_train.vault import plans, stored
from dlroverd_train.vault.commit import MARK

SCRATCH = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where torch's own writer and reader are given a folder for a moment; None is the temporary folder."""

_PLAIN = (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer)


class PlanError(Exception):
    """There can be no checkpoint of this state; one sentence."""


class OutdatedError(Exception):
    """The plan that was made is not of this rank's state as it is now; one sentence."""


class Agreed(NamedTuple):
    """What all ranks have agreed on, from the point of view of one."""

    digest: bytes
    plan: plans.Plan
    template: bytes
    items: list[WriteItem]
    """Those of the plan's tensors, then those of its blobs."""
    length: int
    """Bytes of the tensors that go into the file."""
    span: int
    """Bytes of all tensors in a slot."""
    node: int
    nodes: int


def shape_of(state: dict[str, Any]) -> tuple[Any, ...]:
    """Give what the plan depends on in a flattened state: equal shapes have equal plans."""
    return tuple(_shape(name, value) for name, value in state.items())


def _shape(name: str, value: Any) -> tuple[Any, ...]:
    if isinstance(value, DTensor):
        return name, value.shape, value.dtype, value.placements, value.device_mesh, value.to_local().shape
    if isinstance(value, torch.Tensor):
        return name, value.shape, value.dtype
    return name, type(value).__name__ if hasattr(value, "__create_write_items__") else None


def _complaint(state: dict[str, Any]) -> str:
    """Say what in a state has values that are not plain bytes; empty if all are."""
    for name, value in state.items():
        local = value.to_local() if isinstance(value, DTensor) else value
        if not isinstance(local, torch.Tensor) or hasattr(local, "local_shards"):
            continue
        if local.layout != torch.strided or local.is_quantized or type(local) not in _PLAIN:
            return f"{name} is a {type(local).__name__} with layout {local.layout}: only dense tensors can be kept"
    return ""


def agree(meeting: Meeting, generation: int, planner: DefaultSavePlanner, where: str, within: float) -> Agreed:
    """Make the plan of a generation, together with all ranks; `where` names this rank's vault among all nodes'.

    Raises PlanError, on all ranks, if the whole has no plan; AbsentError if a rank does not come `within` seconds: it
    may be tried again; OutdatedError if this rank came with another shape before, so that a new generation is needed.
    """
    local = planner.create_local_plan()
    mine = io.BytesIO()
    torch.save((where, local, _complaint(planner.state_dict)), mine)
    meeting.tell(f"plan/{generation}/{meeting.rank}", mine.getvalue())
    if meeting.rank == 0:
        keys = [f"plan/{generation}/{rank}" for rank in range(meeting.world)]
        every = meeting.hear(keys, within, "some rank's part of the plan") if meeting.world > 1 else [mine.getvalue()]
        finals = _finals(every, planner)
        for rank, (each, metadata) in enumerate(finals):
            meeting.tell(f"final/{generation}/{rank}", json.dumps(each).encode() + b"\n" + metadata)
        final, template = finals[0]
    else:
        key = f"final/{generation}/{meeting.rank}"
        line, _, template = meeting.hear([key], within, "the plan of rank 0")[0].partition(b"\n")
        final = json.loads(line)
    try:
        meeting.part(f"final/{generation}", within)
    except AbsentError:
        pass  # who has not heard the plan by now comes for it at its next save
    if final["of"] != _digest(mine.getvalue()):
        raise OutdatedError("the state has changed its shape again while the ranks made a plan")
    if "failed" in final:
        raise PlanError(str(final["failed"]))
    return _lay_out(final, template, local.items)


def _finals(every: Sequence[bytes], planner: DefaultSavePlanner) -> list[tuple[dict[str, Any], bytes]]:
    """Make every rank's part of the plan, or say why there is none; each says which word of its rank it is of.

    They come from this job's own ranks, as in torch's own collectives of objects.
    """
    told = [torch.load(io.BytesIO(each), weights_only=False) for each in every]
    try:
        complaints = [each[2] for each in told if each[2]]
        if complaints:
            raise PlanError(complaints[0])
        finals = _decide([each[0] for each in told], [each[1] for each in told], planner)
    except (PlanError, ValueError) as error:
        finals = [({"failed": str(error)}, b"")] * len(every)
    return [
        ({**final, "of": _digest(word)}, template)
        for (final, template), word in zip(finals, every)  # noqa: B905 - Python 3.9
    ]


def _digest(word: bytes) -> str:
    return hashlib.sha256(word).hexdigest()[:32]


def _decide(
    wheres: Sequence[str], locals_: Sequence[SavePlan], planner: DefaultSavePlanner
) -> list[tuple[dict[str, Any], bytes]]:
    """Make every rank's part of the plan."""
    finals, metadata = planner.create_global_plan(list(locals_))
    nodes = [[rank for rank, each in enumerate(wheres) if each == where] for where in dict.fromkeys(wheres)]
    owned = [{_key(item) for item in plan.items} for plan in finals]
    copies = [keys for _, keys in sorted(each for node in nodes for each in _copies(node, owned, locals_))]
    results: list[WriteResult] = []
    parts: list[tuple[dict[str, Any], bytes]] = []
    mark = 0
    about = hashlib.sha256(json.dumps(nodes).encode())
    sample = _sample_result()
    for rank, local in enumerate(locals_):
        mine = [at for at, item in enumerate(local.items) if _key(item) in owned[rank]]
        beside = [at for at, item in enumerate(local.items) if _key(item) in copies[rank]]
        tensors, blobs = _split(local.items, mine)
        places, length = _places([local.items[at] for at in tensors], 0)
        name = f"__{rank}_0.distcp"
        spots = [(at, *place) for at, place in zip(tensors, places)]  # noqa: B905 - Python 3.9
        spots += [(at, MARK + 2 * (mark + n), MARK + 2 * (mark + n) + 1) for n, at in enumerate(blobs)]
        for at, start, size in spots:
            info = dataclasses.replace(sample.storage_data, relative_path=name, offset=start, length=size)
            results.append(WriteResult(index=local.items[at].index, size_in_bytes=size, storage_data=info))
        node = next(number for number, ranks in enumerate(nodes) if rank in ranks)
        final = {"rank": rank, "world": len(wheres), "node": node, "nodes": len(nodes), "local": nodes[node]}
        parts.append(({**final, "owned": mine, "copies": beside, "mark": mark, "length": length, "file": name}, b""))
        mark += len(blobs)
        about.update(json.dumps([_about(item) for item in local.items] + [mine, beside]).encode())
        about.update(repr(local.planner_data).encode())
    template = _template(metadata, results)
    return [
        ({**final, "digest": about.hexdigest()[:32]}, template if rank == final["local"][0] else b"")
        for rank, (final, _) in enumerate(parts)
    ]


def _copies(node: Sequence[int], owned: Sequence[set[Any]], locals_: Sequence[SavePlan]) -> list[tuple[int, set[Any]]]:
    """Say what each rank of a node keeps in memory beside its file: what no file of the node has, evenly spread."""
    have = set().union(*(owned[rank] for rank in node))
    holds = {rank: {_key(item) for item in locals_[rank].items} for rank in node}
    keep: dict[int, set[Any]] = {rank: set() for rank in node}
    load = dict.fromkeys(node, 0)
    for rank in node:
        for item in locals_[rank].items:
            key = _key(item)
            if key not in have:
                least = min((each for each in node if key in holds[each]), key=load.__getitem__)
                keep[least].add(key)
                have.add(key)
                load[least] += _length(item)
    return list(keep.items())


def _lay_out(final: dict[str, Any], template: bytes, items: Sequence[WriteItem]) -> Agreed:
    """Lay this rank's part out in a slot: what goes into the file, then the copies."""
    tensors, blobs = _split(items, final["owned"])
    more_tensors, more_blobs = _split(items, final["copies"])
    places, length = _places([items[at] for at in tensors], 0)
    if length != final["length"]:
        raise PlanError("the ranks run different versions of torch: their checkpoints would not fit together")
    more, span = _places([items[at] for at in more_tensors], length)
    chosen = [items[at] for at in tensors + more_tensors]
    listed = []
    for item, (start, _) in zip(chosen, places + more):  # noqa: B905 - Python 3.9
        dtype, sizes = _values(item)
        at = start + len(envelope(dtype, sizes).head)
        listed.append(plans.Tensor(item.index.fqn, _offsets(item), str(dtype).partition(".")[2], list(sizes), at))
    marks = [final["mark"] + n for n in range(len(blobs))]
    kept = [items[at] for at in blobs + more_blobs]
    plan = plans.Plan(
        final["rank"], final["world"], final["local"], final["file"], listed, [item.index.fqn for item in kept], marks
    )
    return Agreed(
        bytes.fromhex(final["digest"]), plan, template, chosen + kept, length, span, final["node"], final["nodes"]
    )


def _template(metadata: Metadata, results: list[WriteResult]) -> bytes:
    """Have torch's own writer make `.metadata`, with marks where the places of blobs go."""
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        FileSystemWriter(folder, sync_files=False).finish(metadata, [results])
        with open(os.path.join(folder, stored.METADATA), "rb") as file:
            return file.read()


def _sample_result() -> WriteResult:
    """Have torch's own writer write one number, for what it says of where it wrote it."""
    planner = DefaultSavePlanner()
    planner.set_up_planner({"sample": torch.zeros(1)}, None, True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        writer = FileSystemWriter(folder, sync_files=False)
        writer.set_up_storage_writer(True)
        plan = writer.prepare_global_plan([writer.prepare_local_plan(planner.create_local_plan())])[0]
        results: list[WriteResult] = writer.write_data(plan, planner).wait()
        return results[0]


def _split(items: Sequence[WriteItem], chosen: Sequence[int]) -> tuple[list[int], list[int]]:
    blobs = [at for at in chosen if items[at].type == WriteItemType.BYTE_IO]
    return [at for at in chosen if items[at].type != WriteItemType.BYTE_IO], blobs


def _places(items: Sequence[WriteItem], at: int) -> tuple[list[tuple[int, int]], int]:
    """Give where each tensor's file begins and how long it is, and where the last one ends."""
    places = []
    end = at
    for item in items:
        start = -(-end // ALIGN) * ALIGN
        length = envelope(*_values(item)).length
        places.append((start, length))
        end = start + length
    return places, end


def _values(item: WriteItem) -> tuple[torch.dtype, torch.Size]:
    data = item.tensor_data
    assert data  # noqa: S101 - an item that is no blob has it
    return data.properties.dtype, data.chunk.sizes


def _length(item: WriteItem) -> int:
    if item.type == WriteItemType.BYTE_IO:
        return 0
    dtype, sizes = _values(item)
    return sizes.numel() * dtype.itemsize


def _offsets(item: WriteItem) -> list[int] | None:
    return None if item.index.offset is None else list(item.index.offset)


def _key(item: WriteItem) -> tuple[str, tuple[int, ...] | None]:
    return item.index.fqn, None if item.index.offset is None else tuple(item.index.offset)


def _about(item: WriteItem) -> list[Any]:
    values = [] if item.type == WriteItemType.BYTE_IO else [str(_values(item)[0]), list(_values(item)[1])]
    return [item.type.name, item.index.fqn, _offsets(item), *values]


__all__ = ["AbsentError", "Agreed", "PlanError", "agree", "shape_of"]
