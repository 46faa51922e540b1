"""The facts of the log that are about stops on purpose and how many nodes a job has; the others are in event.py."""

from dataclasses import dataclass

from dlroverd.model.cadence import Cadence
from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPlanned:
    """A job is to be stopped on purpose; its ranks are told. `deadline` is when the job is looked at next."""

    job: int
    plan: Plan
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCalledOff:
    """A planned stop that had not begun is not needed any more."""

    job: int
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartSpent:
    """A restart was paid from the job's budget."""

    job: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartCounted:
    """A job is restarted, whoever pays. `best_step` is the furthest it ever got, -1 if no step was seen.

    `fruitless` counts the worlds in a row that got no further.
    """

    job: int
    best_step: int = -1
    fruitless: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartDelayed:
    """A job's restart waits until then, since it would fail again at once, or what it lacks takes time."""

    job: int
    until: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSeen:
    """A world completed a checkpoint, as its output says, at training step `step`."""

    round: RoundKey
    step: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsOffered:
    """All ranks of a world ask whether to save: they will when they are told to."""

    round: RoundKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveAsked:
    """A stop is planned, and the ranks of a world are to save at the first step from `step` on."""

    round: RoundKey
    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CadenceSet:
    """How often the ranks of a world are to save, from now on."""

    round: RoundKey
    cadence: Cadence


@dataclass(frozen=True, slots=True, kw_only=True)
class JobScaled:
    """A person changed how many nodes a role's gangs may have."""

    job: int
    role: str
    nodes_min: int
    nodes_max: int
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSeen:
    """A gang that could use more nodes was held against what is free: `room` more; looked at again at `deadline`."""

    gang: GangKey
    room: int
    reason: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SparesKept:
    """Nodes are kept for a gang until one of its own is lost: those that it has no ranks on."""

    gang: GangKey
    nodes: tuple[str, ...]
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomAsked:
    """Jobs of lower priority (`victims`) are to make room for a job; none: it needs no room any more."""

    job: int
    victims: tuple[int, ...]
