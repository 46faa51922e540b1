"""What a rank or an agent says of itself: an event that waits in its node's spool until the log has it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dlroverd.model.ids import RankKey


class Severity(StrEnum):
    """How much an event matters to people."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


# The larger the worse.
SEVERITY_RANKS: Final = {severity.value: rank for rank, severity in enumerate(Severity)}


class EventKind(StrEnum):
    """An instant, the two ends of a span (which share its id), or a reading."""

    INSTANT = "instant"
    BEGIN = "begin"
    END = "end"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpooledEvent:
    """One event. `sequence` numbers those of a spool from 1, without gaps.

    `rank` is None for the agent's own. `time` is the host's wall clock, `monotonic` its monotonic one, in seconds.
    `span` pairs a begin with its end, `parent` is the span around it; "" for none. `body` is a JSON object.
    """

    sequence: int
    name: str
    version: int = 1
    kind: EventKind = EventKind.INSTANT
    severity: Severity = Severity.INFO
    time: float
    monotonic: float
    rank: RankKey | None = None
    pid: int = 0
    unit: str = ""
    span: str = ""
    parent: str = ""
    body: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventBatch:
    """Events of a node's spool in order, from one boot of its host."""

    node: str
    spool: str
    boot_id: str
    events: tuple[SpooledEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsTaken:
    """All events of a spool up to `sequence` are in the daemon's log."""

    spool: str
    sequence: int
