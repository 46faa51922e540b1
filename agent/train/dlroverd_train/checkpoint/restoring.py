"""What to load: the newest step that the memory of all ranks holds whole, else the newest committed one in storage."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

from dlroverd_train.checkpoint._meeting import Meeting
from dlroverd_train.checkpoint._reading import MemoryReader, Part, Save
from dlroverd_train.checkpoint._slots import Threads
from dlroverd_train.vault import retention, stored


class Loaded(NamedTuple):
    """What `load` did. `step` is None if there was nothing to load; `source` is "memory", a folder, or empty."""

    step: int | None
    source: str
    attempts: int
    passed_over: list[str]
    """Why newer ones were not loaded, a sentence each."""
    persisting: bool = False
    """It was in memory alone, and the vault is bringing it to storage; `wait` tells what becomes of that."""
    why: str = ""
    """Why the vault is not, though it was in memory alone; empty if all is well."""


class Place(NamedTuple):
    """Where this rank's part of a save is, and which of the nodes that hold the others its node is."""

    at: int
    slot: int
    node: int
    nodes: int


class Unloadable(Exception):  # noqa: N818 - says what is the case
    """There are checkpoints, and none can be loaded; the state may be partly overwritten."""


class Source(NamedTuple):
    """One checkpoint that may be loaded, the same for all ranks."""

    step: int
    name: str
    save: Save | None
    """None of one in storage."""


class Restorer:
    """One load, by all ranks together. They agree before and after each attempt."""

    def __init__(self, meeting: Meeting, number: int, within: float, threads: Threads | None) -> None:
        self._threads = threads
        self._meeting, self._number, self._within = meeting, number, within
        self._rounds = 0

    def load(self, state: dict[str, Any], parts: dict[Save, list[Part]], path: str) -> tuple[Loaded, Save | None]:
        """Load the newest that all ranks can; give what it was. Raises Unloadable."""
        passed_over: list[str] = []
        attempts = 0
        for source in self._sources(parts, path):
            attempts += 1
            reasons = self._say(self._try(source, state, parts))
            if not any(reasons):
                return Loaded(source.step, source.name, attempts, passed_over), source.save
            passed_over.append(f"step {source.step} of {source.name}: {next(each for each in reasons if each)}")
        if passed_over:
            raise Unloadable(f"none of {attempts} checkpoints of {path} could be loaded: {'; '.join(passed_over)}")
        return Loaded(None, "", 0, []), None

    def alone(self, save: Save, parts: Sequence[Part], path: str, where: str) -> Place | None:
        """Say where this rank's part is of a step that was loaded from memory and is nowhere else.

        `where` names this rank's vault among all nodes'. None for all ranks if storage has the step, or if one of them
        is not where its part is: they have another layout by now, and persist what they save next. Raises AbsentError.
        """
        same = save.world == self._meeting.world
        mine = next((part for part in parts if part.rank == self._meeting.rank and same), None)
        told = self._say([where, mine is not None, self._meeting.rank == 0 and _has(path, save.step)])
        if mine is None or any(there or not here for _, here, there in told):
            return None
        nodes = list(dict.fromkeys(each for each, _, _ in told))
        return Place(mine.at, mine.slot, nodes.index(where), len(nodes))

    def _sources(self, parts: dict[Save, list[Part]], path: str) -> Iterator[Source]:
        mine = [[*save, sorted({part.rank for part in found})] for save, found in parts.items()]
        held: dict[Save, set[int]] = {}
        for theirs in self._say(mine):
            for *save, ranks in theirs:
                held.setdefault(Save(*save), set()).update(ranks)
        whole = [save for save, ranks in held.items() if ranks == set(range(save.world))]
        for save in sorted(whole, key=lambda save: (save.step, save.sequence, save.timeline), reverse=True):
            yield Source(save.step, "memory", save)
        known = [(each.step, each.folder) for each in stored.steps(path)] if self._meeting.rank == 0 else []
        for step, folder in self._say(known)[0]:
            yield Source(step, folder, None)

    def _try(self, source: Source, state: dict[str, Any], parts: dict[Save, list[Part]]) -> str:
        """Load from one source; say what is wrong with it, or nothing."""
        if source.save:
            found = parts.get(source.save, [])
            return self._told(lambda: dcp.load(state, storage_reader=MemoryReader(found, self._threads), no_dist=True))
        with retention.loading(source.name):
            wrong = next((reason for reason in self._say(self._damage(source.name)) if reason), "")
            return wrong or self._told(lambda: dcp.load(state, checkpoint_id=source.name, no_dist=True))

    def _damage(self, folder: str) -> str:
        """Say what is wrong with this rank's share of a committed step, or nothing."""
        there = stored.read(folder)
        if not there:
            return f"{folder} has no manifest that fits"
        names = [file["name"] for file in there.files][self._meeting.rank :: self._meeting.world]
        return next(iter(stored.missing(there) or stored.verify(there, names)), "")

    def _told(self, load: Callable[[], None]) -> str:
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one rank alone is well
                load()
        except CheckpointException as error:
            return "; ".join(f"{type(cause).__name__}: {cause}" for cause, _ in error.failures.values()) or str(error)
        except (OSError, ValueError) as error:
            return str(error)
        return ""

    def _say(self, value: Any) -> Sequence[Any]:
        self._rounds += 1
        name = f"load/{self._number}/{self._rounds}"
        return [json.loads(each) for each in self._meeting.exchange(name, json.dumps(value).encode(), self._within)]


def _has(path: str, step: int) -> bool:
    try:
        return any(each.step == step for each in stored.steps(path))
    except OSError:
        return False  # storage is away: that is said when it is to be written
