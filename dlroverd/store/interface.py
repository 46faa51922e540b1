"""What the rest of the daemon knows of the durable log: records in, records out, and how it can refuse.

The store keeps texts. It does not look inside a record, and decides nothing about what is worth keeping. All
methods block; the runtime calls the writing ones from one dedicated thread, off the asyncio loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DEFAULT_RESERVE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Record:
    """One turn of the core. `inputs` and `events` are canonical JSON; `now` is seconds since the epoch.

    Positions start at 1 and have no gaps.
    """

    position: int
    now: float
    inputs: str
    events: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the turn at `position`, as text; reading on after `position` completes it."""

    position: int
    state: str


@dataclass(frozen=True, slots=True)
class Lineage:
    """The logs that this one took the place of when it was restored; the copy was made at `taken_at`."""

    ancestors: tuple[str, ...] = ()
    taken_at: float = 0.0


class StoreError(Exception):
    """The log cannot do what was asked; the message is one sentence for a person, with the remedy."""


class StoreLocked(StoreError):  # noqa: N818 - the name says what is so
    """Another process has the log."""


class StoreNotWritable(StoreError):  # noqa: N818 - the name says what is so
    """The state directory cannot be used, or the disk under it fails. The store must be opened anew."""


class StoreUnreadable(StoreError):  # noqa: N818 - the name says what is so
    """What is there is newer than this program, not a log of dlroverd, or damaged. Nothing was changed."""


class StoreFull(StoreError):  # noqa: N818 - the name says what is so
    """No space is left, the reserve included. Nothing was written; the same call may be made again."""


class Store(Protocol):
    """A durable log. Wrong positions are the caller's error and raise ValueError."""

    @property
    def log_id(self) -> str:
        """Random, made with the store and kept for ever: an agent tells by it whose orders it follows."""
        ...

    @property
    def lineage(self) -> Lineage:
        """Of which logs this is a restored copy; of none as a rule."""
        ...

    @property
    def space_low(self) -> bool:
        """Whether the reserve is not whole: new work should be refused, recovery goes on."""
        ...

    def append(self, records: Sequence[Record]) -> None:
        """Add records, all or none, in one transaction and one sync; they are durable on return.

        The first position must be `last_position() + 1`. When the disk is full, the reserve gives space.
        An append that raised has changed nothing here; but if the disk failed in its sync and the machine
        then dies, its records may be found when the log is opened again: all of them, never a part.

        Raises:
            ValueError: the positions leave a gap or repeat.
            StoreFull: the disk is full and the reserve is spent.
            StoreNotWritable: the disk failed.
        """
        ...

    def last_position(self) -> int:
        """Give the position of the newest record ever appended, 0 for a new log."""
        ...

    def oldest_position(self) -> int:
        """Give the position of the oldest record still held; `last_position() + 1` if none is."""
        ...

    def read(self, after: int, limit: int, most_bytes: int | None = None) -> list[Record]:
        """Give up to `limit` records with positions above `after`, in order; from any thread.

        With `most_bytes` no more follow once the events so far take that many, so that a reader's memory is bounded.
        Pruned records are left out: compare the first position with `after + 1` to see it.
        """
        ...

    def latest_snapshot(self) -> Snapshot | None:
        """Give the newest snapshot, if there is one."""
        ...

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Put a snapshot in place of the one before; durable on return. Does not draw on the reserve.

        Raises:
            ValueError: its position is above the last one, or below that of the snapshot before.
            StoreFull: there is no room for it; the snapshot before is still there.
        """
        ...

    def prune(self, keep_after_position: int) -> int:
        """Drop records up to and including that position, but none above the newest snapshot's.

        Goes in bounded steps, between which others may write. Does not draw on the reserve.

        Returns:
            How many records were dropped.
        """
        ...

    def cursor(self, name: str) -> int | None:
        """Give how far the sink `name` has come: the last position it acknowledged; None if it never had a cursor."""
        ...

    def cursor_request(self, name: str) -> str:
        """Give the request that the cursor of the sink `name` was set by last; "" if by none."""
        ...

    def advance_cursor(self, name: str, position: int) -> None:
        """Note that the sink `name` has taken all up to `position`. A cursor never moves back by this.

        An acknowledgement that comes late must not undo a later one. Durable on return, so it costs a sync: call it
        for batches.

        Raises:
            ValueError: the position is above the last one.
        """
        ...

    def set_cursor(self, name: str, position: int, request_id: str = "") -> None:
        """Have the sink `name` go on after `position`, back or ahead, as a person or its configuration says.

        What lies between is delivered again, or not at all. `request_id` is kept with it, for a person who asks a
        second time. Durable on return.

        Raises:
            ValueError: the position is above the last one, or below 0.
        """
        ...

    def restore_reserve(self) -> bool:
        """Try to make the reserve whole again; give whether it is. Clears `space_low` if so."""
        ...

    def close(self) -> None:
        """Let go of the files and of the lock. The store cannot be used afterwards."""
        ...
