"""What the vaults of a host have staged: it outlives ranks and agent, and ends with the host's boot."""

from collections.abc import Callable

from dlroverd_agent import core

from dlroverd.model.checkpoint import StagedCheckpoint, Verdict
from dlroverd.model.ids import RoundKey
from dlroverd.testing.simulator.checks import Checks

# After the first step that counts. By the last of them the world may be long over, and another one saves.
SAVED_AFTER_S = (0.0, 5.0, 60.0)


class Vaults:
    """The vaults of one host, one for each job."""

    def __init__(self, feed: Callable[[core.Input], None], checks: Checks) -> None:
        """Begin with none."""
        self._feed = feed
        self._checks = checks
        self._staged: dict[str, StagedCheckpoint] = {}

    def stage(self, round_: RoundKey, step: int) -> None:
        """Have a save staged by ranks of a round."""
        save = f"{round_}-{step}"
        self._staged[save] = StagedCheckpoint(
            job=round_.job,
            round=round_,
            step=step,
            save=save,
            path="/checkpoints",
            place=f"job-{round_.job}",
            size_bytes=1,
            manifest=save,
        )
        self._show(round_.job)

    def attend(self) -> None:
        """An agent begins to attend them."""
        for job in {each.job: None for each in self._staged.values()}:
            self._show(job)

    def told(self, verdict: Verdict) -> None:
        """Do what the daemon says of a save, once."""
        staged = self._staged.pop(verdict.save, None)
        if staged is not None:
            if not verdict.refusal:
                self._checks.save_named(staged)
            self._show(staged.job)

    def power_off(self) -> None:
        """Lose what has no name yet."""
        self._staged = {}

    def _show(self, job: int) -> None:
        self._feed(core.SavesStaged(job, tuple(each for each in self._staged.values() if each.job == job)))
