"""Saves that wait, whole in staging, until the agent says that they are checkpoints or that they are not.

The word comes from the daemon, whose log has the commit by then. While it is away nothing is lost and nothing is named:
the save stays staged and is offered for as long as this vault lives, and by the next one of its path.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
from typing import Any

from dlroverd_train.vault import commit, stored
from dlroverd_train.vault.streams import sync_folder

PATIENCE = 30.0
"""Seconds without an answer after which a rank that asks is told that its step is not committed."""

_PLACE = ".place"


class _Waiting:
    """One save that is staged."""

    def __init__(self, save: commit.Save) -> None:
        self.save = save
        self.offer: dict[str, Any] | None = None
        """What the agent is told of it, once it is its turn."""
        self.since = time.monotonic()
        self.refusal: str | None = None
        """The agent's word: None before there is one, empty if the save is a checkpoint."""
        self.trouble = ""


class Attending:
    """What waits for the agent's word. Every method may be called from any thread."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self._version = 1
        self._changed = threading.Condition()

    def settle(self, staged: commit.Staged) -> None:
        """Give a save its name once it may have it. Raises NotPersistedError if it may not.

        One of a path after the other: two may be of the same step.
        """
        save = staged.save
        waiting = _Waiting(save)
        with self._changed:
            self._waiting[save.path, save.id] = waiting
            self._changed.wait_for(lambda: self._first(save.path) is waiting)
        try:
            staged.make_room()
            with self._changed:
                waiting.offer = _offer(staged)
                self._tell()
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: waiting.refusal is not None)
                if waiting.refusal:
                    raise commit.NotPersistedError(f"step {save.step} is not committed: {waiting.refusal}")
                try:
                    staged.name()
                    return
                except OSError as error:  # storage may come back, and the agent says its word again
                    with self._changed:
                        waiting.refusal = None
                        waiting.trouble = f"{error.filename or save.path}: {error.strerror or error}"
        finally:
            with self._changed:
                del self._waiting[save.path, save.id]
                self._tell()

    def _first(self, path: str) -> _Waiting | None:
        return next((each for each in self._waiting.values() if each.save.path == path), None)

    def late(self, path: str, save: str) -> str:
        """Say why a save is still staged after a long time; empty if it is not, or may yet be quick."""
        waiting = self._waiting.get((path, save))
        if not waiting or time.monotonic() - waiting.since < self._patience:
            return ""
        why = waiting.trouble or f"the daemon has not answered for {self._patience:g} s"
        return f"step {waiting.save.step} is not committed: {why}; it stays staged, and is once that is mended"

    def waiting(self, known: int, within: float) -> dict[str, Any]:
        """Give all that is offered, once anything has changed since `known`, or after `within` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != known, within)
            return {"known": self._version, "saves": [each.offer for each in self._waiting.values() if each.offer]}

    def decide(self, path: str, save: str, refusal: str) -> None:
        """Take the agent's word on a save; one that does not wait any more needs none."""
        with self._changed:
            waiting = self._waiting.get((path, save))
            if waiting and waiting.offer:
                waiting.refusal = refusal
                self._changed.notify_all()

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()


def _offer(staged: commit.Staged) -> dict[str, Any]:
    """Make what the agent is told of a save; `files` are [name, digest]: half a SHA-256 of the manifest's row."""
    save = staged.save
    return {
        "world": save.made_by,
        "step": save.step,
        "save": save.id,
        "path": save.path,
        "place": _place_of(save.path),
        "size": sum(file["size"] for file in staged.files),
        "manifest": stored.digest_of(staged.manifest),
        "files": [
            [file["name"], hashlib.sha256(json.dumps(file, sort_keys=True).encode()).hexdigest()[:32]]
            for file in staged.files
            if file["name"] != stored.METADATA
        ],
    }


def _place_of(path: str) -> str:
    """Give the name that a folder of checkpoints has on every host that has it mounted, wherever. Raises OSError."""
    where = os.path.join(path, _PLACE)
    if not os.path.exists(where):
        mine = f"{where}-{uuid.uuid4().hex}"
        with open(mine, "x", encoding="ascii") as file:
            file.write(uuid.uuid4().hex)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(mine, where)  # unlike a rename, it leaves what another node was quicker to put there
            os.unlink(mine)
        except FileExistsError:
            os.unlink(mine)
        except OSError:  # a file system without links
            os.rename(mine, where)
        sync_folder(path)
    with open(where, encoding="ascii") as file:
        return file.read(64)
