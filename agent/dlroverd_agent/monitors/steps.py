"""How long a rank's steps take, from where it was at two readings: for scripts that do not say it themselves."""

from collections.abc import Callable, Mapping

from dlroverd.model.ids import RankKey
from dlroverd.model.telemetry import Sample
from dlroverd_agent.progress import Step


class StepTimes:
    """Makes readings of the steps that ranks are at."""

    def __init__(self, steps: Callable[[], Mapping[RankKey, Step]]) -> None:
        self._steps = steps
        self._last: Mapping[RankKey, Step] = {}

    def take(self) -> list[Sample]:
        """Give each rank's last step, and how long those since the reading before took; nothing where none was made."""
        last, self._last = self._last, self._steps()
        samples = []
        for key, now in self._last.items():
            samples.append(Sample(metric="rank_step", value=now.step, rank=key))
            before = last.get(key, now)
            if now.step > before.step and now.at > before.at:
                seconds = (now.at - before.at) / (now.step - before.step)
                samples.append(Sample(metric="rank_step_seconds", value=seconds, rank=key))
        return samples
