"""The facts of the log that are about incidents: what ended a world, and how the job got over it."""

from dataclasses import dataclass

from dlroverd.model.fault import Cause, Incident
from dlroverd.model.ids import RoundKey


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentOpened:
    """The first sign of a fault."""

    job: int
    incident: Incident


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentAttributed:
    """The stop has ended: the root cause is named, and what follows.

    `began_at` is not 0 if the cause showed itself before what the incident was opened for. `domain` is what the lost
    nodes have in common, "" if nothing.
    """

    job: int
    incident: int
    cause: Cause
    victims: tuple[Cause, ...]
    stopped_at: float
    action: str
    reached: int
    decided_at: float = 0.0
    began_at: float = 0.0
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentPhaseReached:
    """An incident got further: `phase` is placed, started, stepped (with `step`) or caught_up."""

    job: int
    incident: int
    phase: str
    at: float
    step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentClosed:
    """An incident is over."""

    job: int
    incident: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldCaughtUp:
    """A world has done again all that an older one had done, and is at `step`: what follows counts."""

    round: RoundKey
    step: int
    at: float
