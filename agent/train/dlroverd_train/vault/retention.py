"""Which committed steps of a path are kept, and how the others go: aside by one rename, then for good."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from dlroverd_train.vault import stored
from dlroverd_train.vault.streams import sync_folder

_GOING = ".removing-"


class Keep(NamedTuple):
    """What is kept of the committed steps: whatever any of these asks for.

    The newest `last`, those that `every` divides, and the `best` by their metric: the lowest, or the `highest`.
    """

    last: int
    every: int = 0
    best: int = 0
    highest: bool = False


class Pruned(NamedTuple):
    """What was removed, and why what was to be removed is there still, a sentence each."""

    removed: list[int]
    left: list[str]


def wrong_with(keep: Keep) -> str:
    """Say what is wrong with what is to be kept; empty if it can be."""
    if keep.last < 1:
        return f"keep.last is {keep.last}: at least the last step is kept"
    least = min(keep.every, keep.best)
    return f"{'keep.every' if keep.every == least else 'keep.best'} is {least}: 0 is for none" if least < 0 else ""


def superfluous(metrics: Mapping[int, float | None], keep: Keep) -> list[int]:
    """Give the steps that need not be kept, the oldest first.

    `metrics` has every committed step; None is for one without a metric, which is never among the best. Of equally good
    steps the newer one is better.
    """
    steps = sorted(metrics)
    kept = set(steps[-keep.last :])
    kept |= {step for step in steps if keep.every and step % keep.every == 0}
    sign = 1 if keep.highest else -1
    rated = sorted((sign * metric, step) for step, metric in metrics.items() if metric is not None)
    kept |= {step for _, step in rated[-keep.best :]} if keep.best else set()
    return [step for step in steps if step not in kept]


def prune(path: str, keep: Keep, sound: set[str], *, dry: bool = False) -> Pruned:
    """Remove the steps of a path that need not be kept; with `dry`, only say which.

    Nothing goes until one step that stays has been read and is as it was written: if none is, the newest of all that is
    stays too. `sound` has the ids of saves known to be so, and gets those found now. A step that is being loaded stays.
    Raises OSError.
    """
    _finish(path)
    steps = {each.step: each for each in stored.steps(path)}  # the newest first
    doomed = superfluous({step: each.metric for step, each in steps.items()}, keep)
    if doomed and not any(each.id in sound for step, each in steps.items() if step not in doomed):
        newest = next((each for each in steps.values() if each.id in sound or not stored.verify(each)), None)
        if not newest:
            return Pruned([], [f"no step of {path} is as it was written: none is removed"])
        sound.add(newest.id)
        doomed = [step for step in doomed if step != newest.step]
    pruned = Pruned([], [])
    for step in doomed:
        if dry or _removed(path, steps[step]):
            pruned.removed.append(step)
        else:
            pruned.left.append(f"{steps[step].folder} is being loaded: it stays for now")
    return pruned


@contextmanager
def loading(folder: str) -> Iterator[None]:
    """Keep a step from being removed meanwhile; one that is not there cannot be kept."""
    try:
        descriptor = os.open(os.path.join(folder, stored.MANIFEST), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        except OSError:
            pass  # a file system without locks: nothing is removed there either
        yield
    finally:
        os.close(descriptor)


def _removed(path: str, step: stored.Stored) -> bool:
    """Remove a step that nobody loads; say whether it is gone."""
    manifest = os.open(os.path.join(step.folder, stored.MANIFEST), os.O_RDWR | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        aside = os.path.join(path, f"{_GOING}{step.step}-{step.id}")
        os.rename(step.folder, aside)
    finally:
        os.close(manifest)
    sync_folder(path)
    shutil.rmtree(aside)
    return True


def _finish(path: str) -> None:
    """Remove what was renamed by someone who was ended before it was gone."""
    for name in os.listdir(path):
        if name.startswith(_GOING):
            shutil.rmtree(os.path.join(path, name))
