"""The fact of the log that an agent forwarded an event; the others, and what all have in common, are in event.py."""

from dataclasses import dataclass

from dlroverd.model.spooled import SpooledEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class EventForwarded:
    """An event of a rank, or of an agent itself, came out of a node's spool. Readers see `event`, under its own name.

    `boot_id` is the boot that it is of.
    """

    node: str
    spool: str
    boot_id: str
    event: SpooledEvent
