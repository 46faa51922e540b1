"""Whole tensors of a committed step as safetensors, for whoever has neither torch.distributed nor this package.

    python -m dlroverd_train.checkpoint.export PATH/step-N --safetensors OUT [--part model]

OUT becomes a folder of one file, or of several and their index, named as Hugging Face does. One at a time is in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import FileSystemReader
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

from dlroverd_train.vault import retention, stored
from dlroverd_train.vault.streams import sync_folder, write_whole

FILE_SIZE = 5_000_000_000
"""Bytes of tensors in one file at most, unless one tensor has more: as Hugging Face has it."""


class ExportError(Exception):
    """A step is not exported; one sentence. There is no new folder then."""


class Exported(NamedTuple):
    """The files that were written, and the values that are no tensors, which safetensors cannot hold."""

    files: list[str]
    left_out: list[str]


def export(step: str, out: str, part: str = "", *, file_size: int = FILE_SIZE) -> Exported:
    """Write the tensors of the step in a folder into a new folder.

    `part` takes only what is below that name of the state, and leaves the name away: of "model.head.weight", "model"
    makes "head.weight". Raises ExportError.
    """
    try:
        from safetensors import SafetensorError  # noqa: PLC0415 - an extra of the package
        from safetensors.torch import save_file  # noqa: PLC0415 - as said
    except ImportError as error:
        raise ExportError("safetensors is not installed here: pip install safetensors") from error
    if os.path.lexists(out):
        raise ExportError(f"{out} is there already: name a folder that is not")
    staging = os.path.abspath(out) + ".part"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        with retention.loading(step):
            tensors, left_out = _contents(step, part)
            files = files_of({name: _size(each) for name, each in tensors.items()}, file_size)
            os.makedirs(staging)
            for file, names in files.items():
                values = _loaded(step, part, {name: tensors[name] for name in names})
                save_file(values, os.path.join(staging, file), {"format": "pt"})
                _sync(os.path.join(staging, file))
        if len(files) > 1:
            write_whole(os.path.join(staging, "model.safetensors.index.json"), _index(files, tensors))
        sync_folder(staging)
        os.rename(staging, out)
    except KeyError as error:  # what it raises for such a type
        raise ExportError(f"{step} was not exported to {out}: safetensors has no {error}") from error
    except (OSError, SafetensorError) as error:
        raise ExportError(f"{step} was not exported to {out}: {error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Exported(list(files), left_out)


def files_of(sizes: Mapping[str, int], file_size: int) -> dict[str, list[str]]:
    """Spread tensors of so many bytes over files, in their order."""
    groups: list[list[str]] = [[]]
    room = file_size
    for name, size in sizes.items():
        if groups[-1] and size > room:
            groups.append([])
            room = file_size
        groups[-1].append(name)
        room -= size
    if len(groups) == 1:
        return {"model.safetensors": groups[0]}
    return {f"model-{at:05}-of-{len(groups):05}.safetensors": group for at, group in enumerate(groups, 1)}


def _contents(step: str, part: str) -> tuple[dict[str, TensorStorageMetadata], list[str]]:
    """Give the tensors of a step, and the names of what else there is. Raises ExportError if it is not whole."""
    there = stored.read(step)
    if not there:
        raise ExportError(f"{step} is no committed step: it has no manifest that fits")
    if problems := stored.missing(there) or stored.verify(there):
        raise ExportError(f"{step} is damaged: {problems[0]}")
    front = f"{part}." if part else ""
    known: dict[str, Any] = FileSystemReader(step).read_metadata().state_dict_metadata
    chosen = {name[len(front) :]: each for name, each in known.items() if name.startswith(front)}
    tensors = {name: each for name, each in chosen.items() if isinstance(each, TensorStorageMetadata)}
    if not tensors:
        parts = sorted({name.partition(".")[0] for name in known})
        raise ExportError(f"{step} has no tensor below {part!r}: its parts are {', '.join(parts)}")
    return tensors, [name for name in chosen if name not in tensors]


def _loaded(step: str, part: str, tensors: Mapping[str, TensorStorageMetadata]) -> dict[str, torch.Tensor]:
    front = f"{part}." if part else ""
    values = {front + name: torch.empty(each.size, dtype=each.properties.dtype) for name, each in tensors.items()}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")  # it is not needed
        dcp.load(values, checkpoint_id=step, no_dist=True)
    return {name[len(front) :]: value for name, value in values.items()}


def _index(files: Mapping[str, list[str]], tensors: Mapping[str, TensorStorageMetadata]) -> bytes:
    total = sum(_size(each) for each in tensors.values())
    where = {name: file for file, names in files.items() for name in names}
    return json.dumps({"metadata": {"total_size": total}, "weight_map": where}, indent=2).encode()


def _size(tensor: TensorStorageMetadata) -> int:
    return tensor.size.numel() * tensor.properties.dtype.itemsize


def _sync(where: str) -> None:
    descriptor = os.open(where, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main() -> int:
    """Export a step and say what was left out."""
    about = "Write the whole tensors of a committed step as safetensors."
    parser = argparse.ArgumentParser(prog="python -m dlroverd_train.checkpoint.export", description=about)
    parser.add_argument("step", help="the folder of a committed step: PATH/step-N")
    parser.add_argument("--safetensors", required=True, metavar="OUT", help="the folder to make")
    parser.add_argument("--part", default="", help="only what is below this name of the state, without it")
    options = parser.parse_args()
    try:
        done = export(options.step, options.safetensors, options.part)
    except ExportError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for name in done.files:
        sys.stdout.write(f"{os.path.join(options.safetensors, name)}\n")
    for name in done.left_out:
        sys.stdout.write(f"left out, since it is no tensor: {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
