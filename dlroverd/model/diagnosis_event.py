"""The facts of the log that are about what ails worlds, as diagnosis rules conclude."""

from dataclasses import dataclass

from dlroverd.model.diagnosis import Action, Conclusion
from dlroverd.model.ids import RoundKey
from dlroverd.model.reputation import AutomationStage


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisMade:
    """A rule concludes that something ails a world. It stands until it is ended, at `deadline` if it is not said again.

    `actions` is what the rule would have done. `acted`: it was; if not, `held_back` says which brake keeps automation
    from it, "" if its stage does.
    """

    rule: str
    round: RoundKey
    conclusion: Conclusion
    stage: AutomationStage
    actions: tuple[Action, ...]
    held_back: str
    acted: bool
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnosisEnded:
    """What a rule concluded of a world holds no more. `kind`, `rank` and `node` are those of the conclusion."""

    rule: str
    round: RoundKey
    kind: str
    rank: int
    node: str
    reason: str
