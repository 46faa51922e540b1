"""The facts of the log that are about signals."""

from dataclasses import dataclass

from dlroverd.model.signal import Signal, SignalAction, SignalSeverity


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSeen:
    """A node's kernel, or a driver there, said something of the host's health, and this is what was made of it.

    `table` is the version of the table that says so, "" if it has no row for this.
    """

    node: str
    signal: Signal
    boot_id: str
    severity: SignalSeverity
    action: SignalAction
    sentence: str
    done: str
    then: str
    table: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCleared:
    """A person says that a node was repaired: what was said of it before does not count any more."""

    node: str
    actor: str
    reason: str
