"""What the vault persists: slots are frozen, written to storage in the background, and let go of again."""

from __future__ import annotations

import os
import shutil
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from dlroverd_train.vault import commit, layout, retention
from dlroverd_train.vault.streams import Streams, sync_folder

PATIENCE = 600.0
"""Seconds that a node waits for the others' part of a step."""

_GATHER = 60.0  # seconds within which the ranks of a node ask for the same step
_PLACE = struct.Struct("<QQ")
_ROOM = 1 << 20  # left free beside the files: metadata, manifests


class Part(NamedTuple):
    """What one rank asks to have persisted."""

    rank: int
    local: list[int]
    memory: memoryview
    slot: int
    name: str
    blobs: int
    marks: list[int]
    """The numbers of those of its `blobs` blobs that go into the file; they come first."""
    template: bytes


class _Running:
    """One save on this node, from the first rank that asks until it is committed or given up."""

    def __init__(self, save: commit.Save) -> None:
        self.save = save
        self.parts: dict[int, Part] = {}
        self.files: list[dict[str, Any]] = []
        self.writing = 0
        self.failed = ""
        self.folder = ""
        self.pruned = retention.Pruned([], [])
        self.over = False


class Persister:
    """The saves of this node that are persisted. Every method may be called from any thread."""

    def __init__(self, streams: int, settle: commit.Settle | None = None) -> None:
        """`settle` is who decides what becomes a checkpoint; without it all does."""
        self.streams = Streams(streams)
        self._agree = settle
        self._work = ThreadPoolExecutor(32, thread_name_prefix="persist")
        self._saves: dict[tuple[str, str], _Running] = {}
        self._paths: dict[str, int] = {}
        self._sound: set[str] = set()
        self._pruning, self._holding = threading.Lock(), threading.Lock()
        self.changed = threading.Condition()

    def busy(self) -> bool:
        """Say whether anything is being persisted."""
        return any(not each.over for each in list(self._saves.values()))

    def ask(self, save: commit.Save, part: Part) -> None:
        """Freeze a rank's slot and begin to write it. Raises NotPersistedError if the slot does not hold the step.

        Ranks that go on from a save after a restart ask for it again: it is theirs now. What is being written goes on,
        what had failed is begun anew.
        """
        with self.changed:
            running = self._saves.get((save.path, save.id)) or _Running(save)
            if running.over and running.failed:
                running = _Running(save)
            if running.failed:
                raise commit.NotPersistedError(running.failed)
            if part.rank in running.parts:
                running.save = running.save._replace(made_by=save.made_by)
                return
            entry = _freeze(part, save.step)
            self._saves[save.path, save.id] = running
            running.parts[part.rank] = part
            running.writing += 1
            self.changed.notify_all()
            for old in [key for key, each in self._saves.items() if each.over and each.save.id != save.id][:-64]:
                del self._saves[old]  # the outcomes of the last saves are enough
            first = len(running.parts) == 1
        if first:
            # A thread of its own: it may wait long for other nodes, and must keep no file from being written.
            threading.Thread(target=self._run, args=(running,), daemon=True).start()
        self._work.submit(self._write, running, part, entry)

    def outcome(self, path: str, save: str, within: float) -> dict[str, Any]:
        """Say what became of a save, after at most `within` seconds."""
        with self.changed:
            running = self._saves.get((path, save))
            if not running:
                return {"state": "unknown"}
            self.changed.wait_for(lambda: running.over, within)
            if not running.over:
                return {"state": "running"}
            if running.failed:
                return {"state": "failed", "says": running.failed}
            return {"state": "committed", "says": running.folder, **running.pruned._asdict()}

    def thawed(self, memory: memoryview, slots: list[int], within: float) -> bool:
        """Wait until one of these slots of an arena is not frozen."""
        with self.changed:
            return self.changed.wait_for(lambda: any(not layout.frozen(memory, slot) for slot in slots), within)

    def _run(self, running: _Running) -> None:
        """See one save through: wait for the node's files, then commit, or for whoever commits."""
        save = running.save
        try:
            with self.changed:
                local = next(iter(running.parts.values())).local
                asked = self.changed.wait_for(lambda: running.failed or len(running.parts) == len(local), _GATHER)
                if not asked:
                    absent = sorted(set(local) - set(running.parts))
                    running.failed = f"rank {absent[0]} did not ask for step {save.step} within {_GATHER:g} s"
                self.changed.wait_for(lambda: running.failed or len(running.files) == len(local))
            if running.failed:
                raise commit.NotPersistedError(running.failed)
            self._settle(running)
        except (commit.NotPersistedError, OSError) as error:
            with self.changed:
                running.failed = running.failed or _sentence(save, error)
                self.changed.wait_for(lambda: not running.writing)
            if save.node:
                commit.say_failed(save, running.failed)
            else:
                shutil.rmtree(commit.staging_of(save), ignore_errors=True)
        finally:
            with self.changed:
                running.over = True
                self.changed.notify_all()

    def _settle(self, running: _Running) -> None:
        commit.say_written(running.save, running.files)
        if running.save.node:
            running.folder = commit.committed_elsewhere(running.save, PATIENCE)
        else:
            template = next(part.template for part in running.parts.values() if part.template)
            settle = partial(self._agreed, running) if self._agree else commit.at_once
            running.folder = commit.commit(running.save, template, PATIENCE, settle)
            running.pruned = self._prune(running.save)

    def _agreed(self, running: _Running, staged: commit.Staged) -> None:
        """Have a save named, as that of the ranks that have asked for it last. Raises NotPersistedError."""
        assert self._agree  # noqa: S101 - looked at before
        while True:
            try:
                self._agree(staged)
                return
            except commit.NotPersistedError:
                made_by = running.save.made_by
                if staged.save.made_by == made_by:
                    raise
                staged = staged.taken_over(made_by)  # while its word was under way

    def _prune(self, save: commit.Save) -> retention.Pruned:
        if not save.keep:
            return retention.Pruned([], [])
        try:
            with self._pruning:
                return retention.prune(save.path, save.keep, self._sound)
        except OSError as error:
            return retention.Pruned([], [f"older steps were not removed: {error.filename}: {error.strerror}"])

    def _write(self, running: _Running, part: Part, entry: layout.Entry) -> None:
        try:
            file = self._file(running.save, part, entry)
            with self.changed:
                running.files.append(file)
        except (commit.NotPersistedError, OSError) as error:
            running.failed = running.failed or _sentence(running.save, error)
        finally:
            with self.changed:
                running.writing -= 1
                layout.set_frozen(part.memory, part.slot, layout.frozen(part.memory, part.slot) - 1)
                self.changed.notify_all()

    def _file(self, save: commit.Save, part: Part, entry: layout.Entry) -> dict[str, Any]:
        table = part.blobs * _PLACE.size
        places = [
            _PLACE.unpack_from(part.memory, entry.blobs_at + _PLACE.size * each) for each in range(len(part.marks))
        ]
        ranges = [(entry.tensors_at, entry.tensors), (entry.blobs_at + table, entry.owned)]
        self._prepare(save, entry.tensors + entry.owned)
        pieces = self.streams.write(os.path.join(commit.staging_of(save), part.name), part.memory, ranges)
        blobs = [
            (mark, entry.tensors + at - table, length)
            for mark, (at, length) in zip(part.marks, places)  # noqa: B905 - Python 3.9
        ]
        return {"name": part.name, "size": entry.tensors + entry.owned, "pieces": pieces, "blobs": blobs}

    def _prepare(self, save: commit.Save, size: int) -> None:
        """See that there is a path that is ours, room in it, and a staging folder."""
        with self._holding:
            held = self._paths.get(save.path)
            if held is not None and not commit.still_held(save.path, held):
                os.close(self._paths.pop(save.path))
                held = None
            if not os.path.isdir(save.path):
                os.makedirs(save.path, exist_ok=True)
                sync_folder(os.path.dirname(save.path))
            if not save.node and held is None:
                self._paths[save.path] = commit.hold_path(save.path)
                for staged in commit.left_in_staging(save.path, save.id.split("-")[0], save.made_by):
                    threading.Thread(target=self._settle_left, args=(staged,), daemon=True).start()
        free = os.statvfs(save.path)
        if size + _ROOM > free.f_bavail * free.f_frsize:
            raise commit.NotPersistedError(
                f"a file of step {save.step} needs {(size + _ROOM) / 1e6:,.1f} MB, {save.path} has "
                f"{free.f_bavail * free.f_frsize / 1e6:,.1f} MB free"
            )
        os.makedirs(commit.staging_of(save), exist_ok=True)

    def _settle_left(self, staged: commit.Staged) -> None:
        """Finish what a vault that has ended left staged, if somebody knows whether it is a checkpoint."""
        if (staged.save.path, staged.save.id) in self._saves:
            return  # our own
        try:
            if not self._agree:
                raise commit.NotPersistedError("nobody knows whether its run went on without it")
            self._agree(staged)
        except (commit.NotPersistedError, OSError):
            shutil.rmtree(commit.staging_of(staged.save), ignore_errors=True)


def _freeze(part: Part, step: int) -> layout.Entry:
    """Keep the rank from writing a slot, if it holds the step."""
    layout.set_frozen(part.memory, part.slot, layout.frozen(part.memory, part.slot) + 1)
    entry = layout.read_entry(part.memory, part.slot)
    if entry and entry.step == step and layout.state(part.memory, part.slot) == layout.COMPLETE:
        return entry
    layout.set_frozen(part.memory, part.slot, layout.frozen(part.memory, part.slot) - 1)
    raise commit.NotPersistedError(f"the memory of rank {part.rank} does not hold step {step} any more")


def _sentence(save: commit.Save, error: commit.NotPersistedError | OSError) -> str:
    if isinstance(error, commit.NotPersistedError):
        return str(error)
    return f"step {save.step} was not persisted: {error.filename or save.path}: {error.strerror or error}"
