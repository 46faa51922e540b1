"""What a sink plugin gives."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from dlroverd.model.view import EventView


class EventsRefused(Exception):  # noqa: N818 - the name says what is so
    """Raised from `write`: some events can never be delivered, and all others of the batch were.

    `refused` maps (position, index) of each to why, in one sentence. They go to the sink's dead letters, not again.
    """

    def __init__(self, refused: Mapping[tuple[int, int], str]) -> None:
        super().__init__(f"{len(refused)} events can never be delivered: {next(iter(refused.values()), '')}")
        self.refused = dict(refused)


@runtime_checkable
class Sink(Protocol):
    """Takes the events of the log elsewhere, each at least once, in the order of the log."""

    def open(self, settings: dict[str, str]) -> None:
        """Get ready, with the sink's settings from the configuration. Called once, before any `write`.

        Raise ValueError with one sentence for a setting that is missing, unknown or wrong.
        """
        ...

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Deliver a batch. To return is to acknowledge: the events must then survive a crash of this host.

        Raise when they could not be delivered: the same batch comes again, and it may have been delivered in
        part. `(position, index)` of an event never changes, and is what to tell duplicates by. Raise EventsRefused for
        events that the other side will never take.
        """
        ...

    def close(self) -> None:
        """Let go of what `open` took. Not called when the process is killed."""
        ...
