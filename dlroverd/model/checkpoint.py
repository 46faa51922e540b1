"""Checkpoints on their way into storage: what a node has staged, what it is told of that, and what the log has."""

from dataclasses import dataclass

from dlroverd.model.ids import RoundKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A rank's file of a checkpoint, and what names its content: half a SHA-256, of its size and checksums."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedCheckpoint:
    """A save of training step `step` that is whole in storage and gets its name once the log has it.

    `round` is the world of the ranks that made it, None if they did not say. `save` is unique within `path`, which is
    what the node calls the folder; `place` names the same folder on every node that has it mounted. `manifest` is the
    SHA-256 of its manifest, and so of all that it consists of.
    """

    job: int
    round: RoundKey | None
    step: int
    save: str
    path: str
    place: str
    size_bytes: int
    manifest: str
    files: tuple[StoredFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a staged save: a checkpoint, or nothing, with a sentence why (`refusal`)."""

    job: int
    path: str
    save: str
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A checkpoint that the log has: see StagedCheckpoint. `node` is the one beside rank 0, `at` the daemon's clock."""

    round: RoundKey
    step: int
    save: str
    path: str
    place: str
    size_bytes: int
    manifest: str
    node: str
    at: float
