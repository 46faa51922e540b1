"""How files in a staging folder become a committed step: by one rename, when all of them are there.

Ranks write `.staging-STEP-ID/`, each node's vault adds what it wrote as `.node-K.json`, and the vault beside rank 0
checks, adds torch's `.metadata` and the manifest, and renames the folder to `step-STEP`. That rename is the commit;
whoever must agree to it first (under an agent, the daemon's log: `attending.py`) is asked right before it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import struct
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from dlroverd_train.vault import stored
from dlroverd_train.vault.retention import Keep
from dlroverd_train.vault.streams import sync_folder, write_whole

_POLL = 0.02
_WRITER = ".writer"
_STAGING = re.compile(r"\.staging-\d+-([0-9a-f]+)-\d+")
_LAST = re.compile(r"\.last-\d+-\d+-\d+")
_LONG = b"\x8a\x08"  # pickle's LONG1 of eight bytes
MARK = 0x6D61_726B << 32
"""Where a blob lies is not known when `.metadata` is made: MARK + 2 n stands for the offset of blob n, the next number
for its length. Pickle writes such a number as ten bytes, which are replaced here."""


class NotPersistedError(Exception):
    """A step is not persisted; one sentence that says why. What was committed before is as it was."""


class Save(NamedTuple):
    """One save that is persisted: the same on every node, but for `node`."""

    path: str
    step: int
    id: str
    world: int
    nodes: int
    node: int
    metric: float | None = None
    keep: Keep | None = None
    made_by: list[str] | None = None


class Staged(NamedTuple):
    """A save that is whole in staging, and becomes a checkpoint by getting its name. `files` are the manifest's."""

    save: Save
    files: list[dict[str, Any]]
    manifest: bytes

    def taken_over(self, made_by: list[str] | None) -> Staged:
        """Give it to other ranks, which have gone on from it. Raises OSError."""
        save = self.save._replace(made_by=made_by)
        return Staged(save, self.files, _write_manifest(save, self.files))

    def make_room(self) -> None:
        """Move what is no checkpoint out of the way. Raises NotPersistedError if there is one under that name."""
        _make_room(self.save, stored.folder_of(self.save.path, self.save.step))

    def name(self) -> None:
        """Give it its name: now it is a checkpoint. May be tried again after an OSError."""
        staging, folder = staging_of(self.save), stored.folder_of(self.save.path, self.save.step)
        if os.path.exists(staging):
            os.rename(staging, folder)
        else:  # it was renamed, and that could not be made durable
            found = stored.read(folder)
            if not found or found.id != self.save.id:
                raise FileNotFoundError(errno.ENOENT, "it is gone: is the storage mounted?", staging)
        sync_folder(self.save.path)


def staging_of(save: Save) -> str:
    """Name the folder that a save is staged in."""
    return os.path.join(save.path, f".staging-{save.step}-{save.id}")


def say_written(save: Save, files: list[dict[str, Any]]) -> None:
    """Tell the vault beside rank 0 that this node's files are durable, and what they are."""
    write_whole(_word_of(save, save.node), json.dumps({"files": files}).encode())
    sync_folder(staging_of(save))


def say_failed(save: Save, why: str) -> None:
    """Tell the vault beside rank 0 that there is nothing to wait for from this node."""
    try:
        write_whole(_word_of(save, save.node), json.dumps({"failed": why}).encode())
    except OSError:
        pass  # the disk may be what failed: the other end has its deadline


Settle = Callable[["Staged"], None]
"""Makes a checkpoint of a staged save, now or later, or raises NotPersistedError."""


def at_once(staged: Staged) -> None:
    """Commit without asking anyone."""
    staged.make_room()
    staged.name()


def commit(save: Save, template: bytes, patience: float, settle: Settle = at_once) -> str:
    """Commit a save once all nodes have said what they wrote; give the folder. Raises NotPersistedError, or OSError."""
    files = _files_of_all(save, patience)
    staging, folder = staging_of(save), stored.folder_of(save.path, save.step)
    for file in files:
        size = os.stat(os.path.join(staging, file["name"])).st_size
        if size != file["size"]:
            raise NotPersistedError(
                f"{file['name']} of step {save.step} has {size} bytes in {save.path} instead of {file['size']}"
            )
    metadata = with_places(template, files)
    write_whole(os.path.join(staging, stored.METADATA), metadata)
    about = {"name": stored.METADATA, "size": len(metadata), "pieces": [[len(metadata), zlib.crc32(metadata)]]}
    listed = [{"name": file["name"], "size": file["size"], "pieces": file["pieces"]} for file in files]
    for node in range(save.nodes):
        os.unlink(_word_of(save, node))
    settle(Staged(save, [*listed, about], _write_manifest(save, [*listed, about])))
    return folder


def _write_manifest(save: Save, files: list[dict[str, Any]]) -> bytes:
    manifest = stored.manifest_of(save.step, save.id, save.world, files, metric=save.metric, made_by=save.made_by)
    write_whole(os.path.join(staging_of(save), stored.MANIFEST), manifest)
    sync_folder(staging_of(save))
    return manifest


def committed_elsewhere(save: Save, patience: float) -> str:
    """Wait until the vault beside rank 0 has committed a save; give the folder. Raises NotPersistedError."""
    staging, folder = staging_of(save), stored.folder_of(save.path, save.step)
    until = time.monotonic() + patience
    while time.monotonic() < until:
        there = os.path.exists(staging)  # before the folder is looked at: it goes there by a rename
        known = stored.read(folder)
        if known and known.id == save.id:
            return folder
        if not there:
            raise NotPersistedError(f"step {save.step} was not committed to {save.path}: the node of rank 0 says why")
        time.sleep(_POLL)
    raise NotPersistedError(
        f"step {save.step} was not committed to {save.path} within {patience:g} s by the node of rank 0"
    )


def with_places(template: bytes, files: list[dict[str, Any]]) -> bytes:
    """Put the places of all blobs into the `.metadata` that was made without them. Raises NotPersistedError."""
    for file in files:
        for number, at, length in file["blobs"]:
            for mark, value in ((MARK + 2 * number, at), (MARK + 2 * number + 1, length)):
                before = _LONG + struct.pack("<q", mark)
                if template.count(before) != 1:
                    raise NotPersistedError(
                        f"the metadata of the checkpoint has no single place for blob {number} of {file['name']}"
                    )
                template = template.replace(before, _LONG + struct.pack("<q", value))
    return template


def hold_path(path: str) -> int:
    """Become the one who commits to a path; give the descriptor that holds it.

    Raises NotPersistedError if another vault holds it.
    """
    where = os.path.join(path, _WRITER)
    descriptor = os.open(where, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        who = os.pread(descriptor, 200, 0).decode(errors="replace")
        os.close(descriptor)
        raise NotPersistedError(
            f"another job ({who}) saves its checkpoints to {path}: give this one a path of its own"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"vault {os.getpid()} on {os.uname().nodename}".encode(), 0)
    return descriptor


def last_of(made_by: list[str] | None) -> str:
    """Name the folder in which the nodes of a world that has ended agree on its last step; empty if it has no name."""
    if not made_by:
        return ""
    job, _, gang, number = made_by
    return f".last-{int(job)}-{int(gang)}-{int(number)}"


def left_in_staging(path: str, timeline: str, made_by: list[str] | None) -> list[Staged]:
    """Give what is whole of what others left in the staging of a path that is held, and clear the rest."""
    whole = []
    for name in os.listdir(path):
        left, folder = _STAGING.fullmatch(name), os.path.join(path, name)
        if _LAST.fullmatch(name) and name != last_of(made_by):
            shutil.rmtree(folder, ignore_errors=True)
        if not left or left[1] == timeline:
            continue
        found = stored.read(folder)
        if found and not stored.missing(found):
            save = Save(path, found.step, found.id, 1, 1, 0, found.metric, None, found.made_by)
            with open(os.path.join(folder, stored.MANIFEST), "rb") as file:
                whole.append(Staged(save, found.files, file.read()))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return whole


def still_held(path: str, descriptor: int) -> bool:
    """Say whether what holds a path is what is there; not so if its storage is another by now.

    Raises NotPersistedError if it is gone: a mount point without its storage is a folder that must not be filled.
    """
    where = os.path.join(path, _WRITER)
    try:
        return os.path.samestat(os.stat(where), os.fstat(descriptor))
    except FileNotFoundError:
        raise NotPersistedError(f"{where}, which was there, is gone: is the storage mounted?") from None


def _word_of(save: Save, node: int) -> str:
    return os.path.join(staging_of(save), f".node-{node}.json")


def _files_of_all(save: Save, patience: float) -> list[dict[str, Any]]:
    until = time.monotonic() + patience
    files: list[dict[str, Any]] = []
    for node in range(save.nodes):
        while not os.path.exists(_word_of(save, node)):
            if time.monotonic() > until:
                raise NotPersistedError(
                    f"node {node} of {save.nodes} did not write its part of step {save.step} in {patience:g} s"
                )
            time.sleep(_POLL)
        with open(_word_of(save, node), encoding="utf-8") as file:
            word = json.load(file)
        if "failed" in word:
            raise NotPersistedError(word["failed"])
        files += word["files"]
    return files


def _make_room(save: Save, folder: str) -> None:
    """Keep a whole checkpoint that already has the step's name; move one that is not aside."""
    there = stored.read(folder)
    if there and not stored.missing(there) and not stored.verify(there):
        raise NotPersistedError(
            f"{folder} is committed already, by an earlier save of step {save.step}: it is left as it is"
        )
    if os.path.lexists(folder):
        os.rename(folder, os.path.join(save.path, f".broken-{save.step}-{save.id}"))
