"""What clients are shown of what ails a world."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisView:
    """What a rule concludes of a world that runs. `rank` -1, `node` and `device` "": nobody is named.

    `actions` are the remedies that the rule prescribes, and `stage` how far automation goes by its word. `acted`: they
    were taken; if not, `held_back` says which brake holds them back, "" if the stage does. `since` is when it began as
    far as is known, `made_at` when it was concluded.
    """

    rule: str
    role: str
    gang: int
    round: int
    kind: str
    sentence: str
    confidence: float
    stage: str
    made_at: float
    since: float = 0.0
    rank: int = -1
    node: str = ""
    device: str = ""
    evidence: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    acted: bool = False
    held_back: str = ""
