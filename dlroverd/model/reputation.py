"""Reputation: what the history of a host, or of one of its accelerators, says of it."""

from dataclasses import dataclass
from enum import StrEnum

# Which of the two, and its name: a node's id, or a device's UUID, which it keeps in whatever host it is.
HOST, DEVICE = "host", "device"
Subject = tuple[str, str]


class Standing(StrEnum):
    """`suspect`: others are taken first. `quarantined`: found bad. `proven`: nothing is held against it."""

    PROVEN = "proven"
    SUSPECT = "suspect"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One sign that a host or device is bad. `weight` is what it adds to the score: a log-likelihood ratio."""

    at: float
    kind: str
    weight: float
    sentence: str
    job: int = 0


class AutomationStage(StrEnum):
    """How far automation goes by itself: it notes what it finds, advises what to do, or does it."""

    OBSERVE = "observe"
    ADVISE = "advise"
    ACT = "act"
