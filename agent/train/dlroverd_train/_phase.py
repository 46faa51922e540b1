"""What a rank is busy with, told to its agent: how long may pass without a step depends on it.

It is left on the progress page, in the first process alone: what a forked one does holds up no step. The spans of
`events` that say as much do it by themselves.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

from ._progress import write_phase

# A phase's number on the page is its place; dlroverd/model/hang.py has the same names.
PHASES = ("step", "init", "checkpoint", "evaluate", "idle")
OF_SPANS = {
    "trainer.init": "init",
    "trainer.load_ckpt": "init",
    "trainer.load_dataset": "init",
    "trainer.save": "checkpoint",
    "trainer.evaluate": "evaluate",
    "trainer.predict": "evaluate",
}


class phase:  # noqa: N801 - reads as a statement: `with phase("evaluate"):`
    """Say that no step is made meanwhile, since this process is at `name`: init, checkpoint, evaluate or idle.

    For a `with` statement. Does nothing outside dlroverd, and never raises; an unknown name is complained of once.
    """

    __slots__ = ("_name", "_outer")

    def __init__(self, name: str) -> None:
        """Nothing is said before the statement begins."""
        self._name = name if isinstance(name, str) and name in PHASES else ""
        if not self._name:
            _complain(name)

    def __enter__(self) -> phase:  # noqa: PYI034 - Self is of Python 3.11
        """Begin it."""
        self._outer = enter(self._name) if self._name else ""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Go back to what was before."""
        if self._name:
            enter(self._outer)


def enter(name: str) -> str:
    """Say that another phase begins; gives the one before it."""
    global _now
    before, _now = _now, name
    if _telling and name != before:
        write_phase(PHASES.index(name))
    return before


def _complain(name: object) -> None:
    global _complained  # noqa: PLW0603 - once per process
    if not _complained:
        _complained = True
        try:
            sys.stderr.write(f"dlroverd_train.phase: {name!r:.60} is no phase: use {', '.join(PHASES[1:])}\n")
        except Exception:  # noqa: BLE001 - stderr is closed, or a user's own
            return


def _forked() -> None:
    global _telling  # noqa: PLW0603 - one process
    _telling = False


_now = PHASES[0]
_telling, _complained = True, False
os.register_at_fork(after_in_child=_forked)
