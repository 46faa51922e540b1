"""When to save: the agent leaves step numbers in a file, put in place whole; dlroverd_agent/notices.py writes it.

All that counts is the step, which all ranks have in common: no clock, and no word with another rank.
"""

import json
import os
from typing import NamedTuple

from ._progress import asks, progress


class _Saves(NamedTuple):
    """What is in the file: see `Saves` of dlroverd/model/world.py."""

    at: int = -1
    every: int = 0
    since: int = 0
    was_every: int = 0
    was_since: int = 0

    def due(self, step: int) -> int:
        """Count how many saves were due up to a step, by themselves."""
        before = max(0, min(step, self.since) - self.was_since) // self.was_every if self.was_every else 0
        return before + (max(0, step - self.since) // self.every if self.every else 0)


_NONE = _Saves()
_seen = (0, 0)  # which file was read last: its inode, and when it was written
_saves = _NONE
_last = (-1, -1)  # the newest step that was asked about, and the one before it; -1: none
_taken = (-1, -1)  # the request that was answered last, and at which step


def should_checkpoint(step: int) -> bool:
    """Say whether to save now that training step `step` is done: an interval is over, or a stop is planned.

    Ask on every rank, at the same steps. All of them get the same answer at the same step, once for each save that is
    due: save, and say so (`checkpointed`) when all of the checkpoint is safe. A stop that is planned (`notice` says
    which) then follows. Also says `progress(step)`. False outside dlroverd; costs microseconds, and never raises.
    """
    global _last, _taken  # noqa: PLW0603 - one rank per process
    try:
        step = int(step)
        if _last[0] < 0 and "DLROVERD_SAVES_FILE" in os.environ:
            asks()
        progress(step)
        saves = _read()
        if step != _last[0]:
            _last = (step, _last[0])
        before = _last[1] if 0 <= _last[1] < step else step - 1
        due = saves.due(step) > saves.due(before)
        if 0 <= saves.at <= step and (saves.at != _taken[0] or step == _taken[1]):
            _taken = (saves.at, step)
            due = True
        return due
    except (OSError, KeyError, ValueError, TypeError, OverflowError):
        return False


def _read() -> _Saves:
    """Give what the file says, read anew only if it is another one than before."""
    global _seen, _saves
    path = os.environ.get("DLROVERD_SAVES_FILE", "")
    try:
        status = os.stat(path)
    except OSError:
        return _NONE
    if _seen != (status.st_ino, status.st_mtime_ns):
        with open(path, encoding="utf-8") as file:
            values = json.load(file)
        saves = _Saves(**{name: int(values[name]) for name in _Saves._fields})
        _seen, _saves = (status.st_ino, status.st_mtime_ns), saves
    return _saves
