"""Events of gangs that make no steps: part of the vocabulary in `event.py`."""

from dataclasses import dataclass

from dlroverd.model.hang import HangVerdict
from dlroverd.model.ids import RoundKey
from dlroverd.model.reputation import AutomationStage


@dataclass(frozen=True, slots=True, kw_only=True)
class HangSuspected:
    """A gang has made no step for longer than its budget of `phase`: the stacks of all its ranks are looked at."""

    round: RoundKey
    step: int
    phase: str
    quiet_s: float
    budget_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HangJudged:
    """What the stacks said. A gang that hangs is restarted at stage `act`, unless something held that back."""

    round: RoundKey
    verdict: HangVerdict
    stage: AutomationStage
    held_back: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HangEnded:
    """A gang that was suspected, or found to hang, makes steps again."""

    round: RoundKey
    step: int
