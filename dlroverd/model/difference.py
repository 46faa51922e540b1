"""Differences between what a node should run, what is recorded of it and what really runs there."""

from dataclasses import dataclass
from enum import StrEnum

# How many of each finder are kept.
KEPT = 16


class DifferenceKind(StrEnum):
    """What differs from what.

    An agent finds: VANISHED, recorded as running and not there; STRAY, there and not recorded; LEFT_OVER, recorded as
    gone and still there; FILE_CHANGED, its file is not what it wrote; SURVEY_FAILED, it could not look. The daemon
    finds: NOT_LISTED, it should run there and the agent does not list it; UNTOLD, the agent was last told something
    else than the log says; BEHIND, the agent does not take what it is told although it speaks.
    """

    VANISHED = "vanished"
    STRAY = "stray"
    LEFT_OVER = "left_over"
    FILE_CHANGED = "file_changed"
    SURVEY_FAILED = "survey_failed"
    NOT_LISTED = "not_listed"
    UNTOLD = "untold"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference, found at `at` (wall clock of who found it, seconds). `mended`: what is done; "" is nothing."""

    kind: DifferenceKind
    what: str
    mended: str
    at: float


_DAEMON_FINDS = frozenset({DifferenceKind.NOT_LISTED, DifferenceKind.UNTOLD, DifferenceKind.BEHIND})


def newest(differences: tuple[Difference, ...]) -> tuple[Difference, ...]:
    """Keep the newest of the agent's and the newest of the daemon's, in order.

    The agent tells of all of its own that it keeps again and again: the daemon's are not to push them out.
    """
    of_daemon = [each for each in differences if each.kind in _DAEMON_FINDS]
    of_agent = [each for each in differences if each.kind not in _DAEMON_FINDS]
    kept = {*of_daemon[-KEPT:], *of_agent[-KEPT:]}
    return tuple(each for each in differences if each in kept)
