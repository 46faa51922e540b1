"""How gangs that make no step are found, and what follows: `hangs` in the daemon's configuration and in a job file."""

from typing import Literal, Self

from pydantic import model_validator

from dlroverd.config.durations import format_duration
from dlroverd.config.schema import Duration, Section, limit, setting
from dlroverd.model.hang import HangLimits, Phase
from dlroverd.model.job import PhaseBudget
from dlroverd.model.reputation import AutomationStage

_HANGS = HangLimits()
_FLOOR_S = _HANGS.floors_s[Phase.EVALUATE]
_FIRES = "the stacks of its ranks are looked at; only if they stand still, too, does it hang"


def _ceiling(phase: Phase, what: str, example: str) -> float:
    found: float = limit(
        _HANGS.ceilings_s[phase],
        f"how long a gang may make no step {what} at the most, and as long as nothing is learnt",
        fires=_FIRES,
        example=example,
        gt=0,
    )
    return found


def _given(what: str, example: str) -> float:
    found: float = limit(0.0, f"how long it may {what}; 0s has that learnt", fires=_FIRES, example=example)
    return found


class HangsConfig(Section):
    """How long a gang may make no step, which is learnt between floors and ceilings, and what follows a hang."""

    stage: AutomationStage = setting(
        _HANGS.stage,
        "what follows when a gang hangs: it is restarted (act), that is advised (advise) or noted (observe)",
        example="advise",
    )
    step_floor: Duration = limit(
        _HANGS.floors_s[Phase.STEP],
        "how long a gang that makes steps may make none at the least, however short they are",
        fires=_FIRES,
        example="10s",
        gt=0,
    )
    floor: Duration = limit(
        _FLOOR_S,
        "how long a gang may be at anything else without a step at the least",
        fires=_FIRES,
        example="60s",
        gt=0,
    )
    step_ceiling: Duration = _ceiling(Phase.STEP, "between two steps", "30m")
    first_step_ceiling: Duration = _ceiling(Phase.FIRST_STEP, "before its first one", "30m")
    init_ceiling: Duration = _ceiling(Phase.INIT, "while it says that it starts, or loads", "30m")
    checkpoint_ceiling: Duration = _ceiling(Phase.CHECKPOINT, "while it saves", "30m")
    evaluate_ceiling: Duration = _ceiling(Phase.EVALUATE, "while it evaluates", "1h")
    idle_ceiling: Duration = _ceiling(Phase.IDLE, "while it says that it is idle", "24h")

    @model_validator(mode="after")
    def _floors_are_below(self) -> Self:
        for phase in Phase:
            name = f"{phase.value}_ceiling"
            floor, floor_name = (self.step_floor, "step_floor") if phase is Phase.STEP else (self.floor, "floor")
            if getattr(self, name) < floor:
                raise ValueError(
                    f"{name}: {format_duration(getattr(self, name))} must not be less than {floor_name}, which is "
                    f"{format_duration(floor)}"
                )
        return self

    def to_model(self) -> HangLimits:
        """Give the limits as they are taken."""
        floors: dict[str, float] = {phase: self.step_floor if phase is Phase.STEP else self.floor for phase in Phase}
        ceilings: dict[str, float] = {phase: getattr(self, f"{phase.value}_ceiling") for phase in Phase}
        return HangLimits(stage=self.stage, floors_s=floors, ceilings_s=ceilings)


class HangFile(Section):
    """What a job says of it: how far automation goes, and budgets that are not to be learnt."""

    stage: Literal["", "observe", "advise", "act", "off"] = setting(
        "",
        "what follows when it hangs: it is restarted (act), that is advised or noted (observe); off looks for none; "
        "else as the daemon's configuration says",
        example="act",
    )
    step: Duration = _given("make no step", "2m")
    first_step: Duration = _given("take to its first step", "20m")
    init: Duration = _given("start, or load", "10m")
    checkpoint: Duration = _given("save", "10m")
    evaluate: Duration = _given("evaluate", "1h")
    idle: Duration = _given("be idle", "24h")

    def budgets(self) -> tuple[PhaseBudget, ...]:
        """Give the budgets that are not to be learnt."""
        given = [PhaseBudget(phase=phase.value, seconds=getattr(self, phase.value)) for phase in Phase]
        return tuple(each for each in given if each.seconds)
