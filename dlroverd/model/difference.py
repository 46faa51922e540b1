"""Differences between what a node should run, what is recorded of it and what really runs there."""

from dataclasses import dataclass
from enum import StrEnum

# How many an agent keeps for the daemon, and how many the daemon keeps of a node. More of these: a node reports all
# that its agent keeps again and again, and none of them is to count as a new one.
AGENT_KEEPS, DAEMON_KEEPS = 16, 48


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
