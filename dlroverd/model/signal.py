"""Signals: what a host's kernel or an accelerator's driver says of its own health; and the table of what follows."""

from dataclasses import dataclass
from enum import StrEnum

from dlroverd.model.fault import CauseKind

# How many an agent tells again and again, and how many the daemon keeps of a node: the same, so that none comes twice.
KEPT = 32
# How much of a line is kept.
MOST_DETAIL = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that was said, at `at` (the host's wall clock, seconds).

    `name` is what the table calls it ("xid.79", "link.down"). It is about an accelerator (`device`, by UUID), or about
    the `part` of the host ("eth0", "sda1"); both are "" where the whole host is meant. `detail` is what was said, in
    one line. `count` of it have been since the last signal of this name and thing. `pid`: a process it names, or 0.
    """

    name: str
    at: float
    detail: str
    device: str = ""
    part: str = ""
    count: int = 1
    pid: int = 0


class SignalSeverity(StrEnum):
    """How bad it is. `info`: nothing is wrong with the host. `fatal`: what runs on the device cannot go on."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    FATAL = "fatal"


class SignalAction(StrEnum):
    """What automation makes of it: nothing; others are taken first (`doubt`); the node is taken out of use."""

    NOTE = "note"
    DOUBT = "doubt"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRepeat:
    """The `count`-th within `within_s` (0: since the host's boot or repair) is a matter of `action` and `then`."""

    count: int
    within_s: float
    action: SignalAction
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRule:
    """One row: what a signal means (`says`), what automation does, and the one thing that people do next (`then`).

    `cause` is what it proves of a rank that ends near it; None: nothing.
    """

    signal: str
    severity: SignalSeverity
    action: SignalAction
    says: str
    then: str
    cause: CauseKind | None = None
    repeat: SignalRepeat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalTable:
    """All rows, by signal; `version` says whose: "1", or "1 with site 4" where an operator's rows are over ours."""

    version: str = ""
    rules: tuple[SignalRule, ...] = ()

    def rule(self, signal: str) -> SignalRule | None:
        """Give the row of a signal; None if there is none."""
        return next((each for each in self.rules if each.signal == signal), None)
