"""The facts of the log that are about reputation, and about what automation makes of it."""

from dataclasses import dataclass

from dlroverd.model.reputation import AutomationStage, Evidence, Standing, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceSeen:
    """Something speaks against a host or device; `score` is what all of it comes to, at the time of the event."""

    node: str
    subject: Subject
    evidence: Evidence
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingChanged:
    """What a host or device counts as from now on, or that it is looked at again at another `deadline` (0: never).

    `doubt` is how likely it is bad, 0 to 1; on `probation` work without a fault proves it.
    """

    node: str
    subject: Subject
    standing: Standing
    score: float
    doubt: float
    reason: str
    deadline: float = 0.0
    probation: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingMade:
    """Automation finds that a node is to be taken out of use. `held_back` says which brake keeps it from doing so.

    At `deadline` it is looked at again, and dropped if nothing is left of it.
    """

    node: str
    stage: AutomationStage
    sentence: str
    held_back: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingEnded:
    """A finding is carried out, or too old to count."""

    node: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRemoved:
    """Automation took a node out of use; removals before `forget_before` count no more."""

    node: str
    forget_before: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationPaused:
    """A person stopped what automation does by itself."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationResumed:
    """A person let automation act again."""

    actor: str
