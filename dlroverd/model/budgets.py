"""How long a gang may make no step, learnt from how long it took before. Pure."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from dlroverd.model.hang import Budget, HangLimits, Phase

# A step budget is four times the 99th percentile: the looks that follow take up to 6 s, so that what hangs is named
# within five times, or 30 s. Other phases are seen seldom: their longest stands for a percentile.
_STEPS, _TIMES = 4.0, 4.0
# After a pause that was no hang, the next may be half as long again.
_PAUSE = 1.5
# With fewer than eight messages of steps the slow first ones are all that is known; one save says nothing of the next.
# 256 messages are minutes: enough to have seen what happens every hundredth step, and what was otherwise is let go.
_LEAST_STEPS, _LEAST_OTHERS = 8, 2
_KEPT_STEPS, _KEPT = 256, 16


@dataclass(slots=True)
class History:
    """How long a gang took, in seconds: between steps, in each phase, and in pauses that turned out to be no hang."""

    steps: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_STEPS))
    phases: dict[str, deque[float]] = field(default_factory=dict)
    pauses: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def took(self, phase: str, seconds: float) -> None:
        """Note how long something took."""
        if phase == Phase.STEP:
            self.steps.append(seconds)
        else:
            self.phases.setdefault(phase, deque(maxlen=_KEPT)).append(seconds)


def budget(phase: str, history: History, limits: HangLimits, given: Mapping[str, float]) -> Budget:
    """Give the budget of one phase: what the job file says, else what was learnt, between floor and ceiling."""
    floor_s, ceiling_s = limits.floors_s[phase], limits.ceilings_s[phase]
    if phase in given:
        return Budget(
            phase=phase, seconds=given[phase], floor_s=floor_s, ceiling_s=ceiling_s, basis="given by the job file"
        )
    learnt_s, basis = _of_steps(history) if phase == Phase.STEP else _of_phase(history.phases.get(phase, ()))
    if learnt_s is None:
        return Budget(phase=phase, seconds=ceiling_s, floor_s=floor_s, ceiling_s=ceiling_s, basis=basis)
    if learnt_s < floor_s:
        basis = f"the floor: {basis} is less"
    elif learnt_s > ceiling_s:
        basis = f"the ceiling: {basis} is more"
    seconds = min(max(learnt_s, floor_s), ceiling_s)
    return Budget(phase=phase, seconds=round(seconds, 3), floor_s=floor_s, ceiling_s=ceiling_s, basis=basis)


def p99(samples: Sequence[float]) -> float:
    """Give the 99th percentile of two or more samples."""
    return quantiles(samples, n=100, method="inclusive")[98]


def _of_steps(history: History) -> tuple[float | None, str]:
    if len(history.steps) < _LEAST_STEPS:
        return None, "the ceiling: too few steps were seen to learn from"
    step_s, pause_s = p99(history.steps), max(history.pauses, default=0.0)
    if _PAUSE * pause_s > _STEPS * step_s:
        return _PAUSE * pause_s, f"{_PAUSE:g} times its longest pause that was no hang ({pause_s:.1f} s)"
    return (
        _STEPS * step_s,
        f"{_STEPS:g} times the 99th percentile of its last {len(history.steps)} steps ({step_s:.2g} s)",
    )


def _of_phase(samples: Sequence[float]) -> tuple[float | None, str]:
    if len(samples) < _LEAST_OTHERS:
        return None, "the ceiling: it was not seen often enough to learn from"
    return _TIMES * max(samples), f"{_TIMES:g} times the longest of its last {len(samples)} ({max(samples):.1f} s)"
