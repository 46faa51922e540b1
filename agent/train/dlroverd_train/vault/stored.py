"""Checkpoints in storage: which steps of a path are committed, and whether their bytes are what was written.

A committed step is the folder `step-N` with a manifest that fits its own checksum. There is no pointer file: whatever
stands there under that name is whole, since it got the name by one rename. Pieces carry CRC-32 (zlib's), which finds
flipped and missing bytes and costs a quarter of SHA-256; it is no proof against someone who changes files on purpose.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

MANIFEST = "manifest.json"
METADATA = ".metadata"
FORMAT = 1
_STEP = re.compile(r"step-(\d+)")


class Stored(NamedTuple):
    """A committed step. `files` are the manifest's: name, size, and pieces of [bytes, CRC-32] in their order."""

    step: int
    folder: str
    id: str
    files: list[dict[str, Any]]
    metric: float | None = None
    """How good the step is, if whoever saved it said."""
    made_by: list[str] | None = None
    """The job, role, gang and round of the ranks that saved it; None where no agent ran them."""


def folder_of(path: str, step: int) -> str:
    """Name the folder of a step."""
    return os.path.join(path, f"step-{step}")


def steps(path: str) -> list[Stored]:
    """Give the committed steps of a path, the newest first. A folder without a manifest that fits is none."""
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return []
    found = [(int(match[1]), name) for name in names if (match := _STEP.fullmatch(name))]
    known = (read(os.path.join(path, name)) for _, name in sorted(found, reverse=True))
    return [stored for stored in known if stored]


def read(folder: str) -> Stored | None:
    """Read the manifest of a step's folder; None if there is none, or one that is not as it was written."""
    try:
        with open(os.path.join(folder, MANIFEST), encoding="utf-8") as file:
            manifest = json.load(file)
        seal = manifest.pop("sha256")
        if seal != _seal(manifest) or manifest["format"] != FORMAT:
            return None
        return Stored(
            int(manifest["step"]), folder, str(manifest["id"]), list(manifest["files"]), manifest.get("metric"),
            manifest.get("made_by"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def manifest_of(
    step: int,
    save: str,
    world: int,
    files: Sequence[dict[str, Any]],
    *,
    metric: float | None = None,
    made_by: list[str] | None = None,
) -> bytes:
    """Make the manifest of a step: `save` is the id of the save it comes from."""
    manifest: dict[str, Any] = {"format": FORMAT, "step": step, "id": save, "world": world, "metric": metric}
    manifest |= {"made_by": made_by, "checksum": "crc32", "files": list(files)}
    return json.dumps({**manifest, "sha256": _seal(manifest)}, indent=1).encode()


def digest_of(manifest: bytes) -> str:
    """Give the SHA-256 that names a manifest, and so every byte that it has a checksum of."""
    return hashlib.sha256(manifest).hexdigest()


def digest(folder: str) -> str:
    """Give the digest of the manifest in a step's folder. Raises OSError."""
    with open(os.path.join(folder, MANIFEST), "rb") as file:
        return digest_of(file.read())


def verify(stored: Stored, names: Sequence[str] | None = None) -> list[str]:
    """Read files of a step (all of them unless named) and say what is wrong with them, a sentence each."""
    problems = []
    for file in stored.files:
        if names is None or file["name"] in names:
            problem = _wrong(os.path.join(stored.folder, file["name"]), file)
            problems += [problem] if problem else []
    return problems


def missing(stored: Stored) -> list[str]:
    """Say which files of a step are not there in their size. Looks at no byte of them."""
    problems = []
    for file in stored.files:
        where = os.path.join(stored.folder, file["name"])
        try:
            size = os.stat(where).st_size
        except OSError as error:
            problems.append(f"{where}: {error.strerror}")
        else:
            if size != file["size"]:
                problems.append(f"{where}: {size} bytes instead of {file['size']}")
    return problems


def _wrong(where: str, file: dict[str, Any]) -> str:
    at = 0
    try:
        with open(where, "rb", buffering=0) as stream:
            for length, checksum in file["pieces"]:
                piece = bytearray(length)
                view, got = memoryview(piece), 0
                while got < length and (count := stream.readinto(view[got:])):
                    got += count
                if got < length:
                    return f"{where}: ends at byte {at + got} instead of {file['size']}"
                if zlib.crc32(piece) != checksum:
                    return f"{where}: bytes {at} to {at + length} are not what was written"
                at += length
            return f"{where}: longer than {file['size']} bytes" if stream.read(1) else ""
    except OSError as error:
        return f"{where}: {error.strerror}"


def _seal(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def main() -> int:
    """List the committed steps of a path, or verify them."""
    what, path = [*sys.argv[1:], "", ""][:2]
    if what not in {"list", "verify"} or not path:
        sys.stderr.write("usage: python -m dlroverd_train.vault.stored list|verify PATH\n")
        return 2
    bad, said = 0, "ok" if what == "verify" else "not verified"
    for each in steps(path):
        size = sum(file["size"] for file in each.files)
        problems = verify(each) if what == "verify" else []
        bad += bool(problems)
        sys.stdout.write(f"{each.step}\t{size / 1e6:,.1f} MB\t{each.folder}\t{'; '.join(problems) or said}\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
