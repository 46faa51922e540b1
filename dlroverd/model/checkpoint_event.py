"""Events of checkpoints in storage: part of the vocabulary in `event.py`."""

from dataclasses import dataclass

from dlroverd.model.checkpoint import StoredFile, Verdict
from dlroverd.model.ids import RoundKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointCommitted:
    """A save became a checkpoint of its job: its node gives it the name of its step. Once for each save."""

    round: RoundKey
    step: int
    save: str
    path: str
    place: str
    size_bytes: int
    manifest: str
    files: tuple[StoredFile, ...]
    node: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRefused:
    """A save did not become a checkpoint: its node drops it. What was committed before stays."""

    job: int
    round: RoundKey | None
    step: int
    save: str
    path: str
    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictsGiven:
    """What a node is told of the saves that it has staged, all of them; none once it has done what it was told."""

    node: str
    verdicts: tuple[Verdict, ...]
