"""Stops that are no faults: a job is to make room, to move, or to go on with another number of nodes."""

from dataclasses import dataclass
from enum import StrEnum

from dlroverd.model.job import JobState


class PlanKind(StrEnum):
    """Why a job is stopped on purpose. TIME_LIMIT: it ends then, and its ranks are told before."""

    PREEMPT = "preempt"
    DRAIN = "drain"
    SUSPEND = "suspend"
    SCALE = "scale"
    GROW = "grow"
    TIME_LIMIT = "time_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A stop of a job's worlds, and what it does then (`to`: queued, or suspended).

    The ranks are told `reason` at once. They are stopped at `by`, or at the first checkpoint they complete before it;
    TERM leaves them `grace_s`. `stopping`: that has begun.
    """

    kind: PlanKind
    reason: str
    asked_at: float
    by: float
    grace_s: float
    to: JobState
    stopping: bool = False
