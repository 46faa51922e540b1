"""An event that a rank or an agent had said of itself reached the log."""

from dataclasses import dataclass

from dlroverd.model.spooled import SpooledEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class EventForwarded:
    """An event that a rank or an agent had said of itself reached the log."""

    node: str
    spool: str
    boot_id: str
    event: SpooledEvent
