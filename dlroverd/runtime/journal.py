"""The durable log as the loop uses it: one thread that writes, one that reads and makes snapshots.

Owns the store's threads and when snapshots are made. Must not look into records.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

import structlog

from dlroverd.core.apply import apply, begin_turn
from dlroverd.core.state import State
from dlroverd.runtime import codec
from dlroverd.store.interface import Record, Snapshot, Store, StoreFull

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

DEFAULT_KEEP_FOR_SINKS = 1_000_000
# A sink is warned of once less than this part of what is kept for it is left.
_WARN_PART = 10
_REPLAY_BATCH = 1000
_LOG = structlog.get_logger("dlroverd.journal")


def replay(store: Store) -> State:
    """Fold what a store holds into a state: the newest snapshot, then every event after it.

    Raises:
        StoreUnreadable: a newer release wrote some of it, or it is damaged.
    """
    snapshot = store.latest_snapshot()
    state = codec.decode_state(snapshot.state, store.log_id) if snapshot else State(store.log_id)
    while records := store.read(state.m.position, _REPLAY_BATCH):
        for record in records:
            begin_turn(state, record.position, record.now)
            for event in codec.EVENTS.decode(record.events):
                apply(state, event)
    return state


class Journal:
    """A store, off the loop."""

    def __init__(
        self,
        store: Store,
        *,
        snapshot_every: int,
        keep_records: int,
        readers: Iterable[str],
        keep_for_sinks: int = DEFAULT_KEEP_FOR_SINKS,
    ) -> None:
        """Take over a store; `readers` name the cursors of the sinks.

        What a sink has not taken is kept for it, but no more than the newest `keep_for_sinks` records.
        """
        self._store = store
        self._snapshot_every = snapshot_every
        self._keep_records = keep_records
        self._keep_for_sinks = max(keep_records, keep_for_sinks)
        self._readers = tuple(readers)
        self._writer = ThreadPoolExecutor(1, "log-writer")
        self._reader = ThreadPoolExecutor(1, "log-reader")
        # A thread of their own: sinks that catch up read without end, and people's questions must not wait behind them.
        self._digester = ThreadPoolExecutor(1, "sink-reader")
        latest = store.latest_snapshot()
        self._snapshot_due = (latest.position if latest else 0) + snapshot_every
        self.log_id = store.log_id
        self.position = store.last_position()
        self.oldest = store.oldest_position()
        self.low = store.space_low
        self.full = ""

    async def append(self, records: Sequence[Record]) -> None:
        """Make records durable; StoreFull (try again) or StoreNotWritable (open anew) if that fails."""
        try:
            await self._write(self._store.append, records)
        except StoreFull as error:
            if not self.full:
                _LOG.error("the log's disk is full: nothing goes on until there is space", why=str(error))
            self.full = str(error)
            raise
        if self.full:
            _LOG.info("the log's disk has space again")
            self.full = ""
        self.position = records[-1].position
        self.low = self._store.space_low

    async def read(self, after: int, limit: int) -> list[Record]:
        """Give durable records above `after`, in order."""
        return await self._read(self._store.read, after, limit)

    async def digest(self, after: int, limit: int, most_bytes: int, make: Callable[[list[Record]], T]) -> T:
        """Give what `make` makes of durable records above `after`, in the sinks' thread: it may take its time."""

        def work() -> T:
            return make(self._store.read(after, limit, most_bytes))

        return await asyncio.get_running_loop().run_in_executor(self._digester, work)

    async def oldest_position(self) -> int:
        """Give the position of the oldest record still held."""
        return await self._read(self._store.oldest_position)

    async def cursor(self, name: str) -> int | None:
        """Give how far a sink has come; None if it never had a cursor."""
        return await self._read(self._store.cursor, name)

    async def cursor_request(self, name: str) -> str:
        """Give the request that moved a sink last; "" if none has."""
        return await self._read(self._store.cursor_request, name)

    async def advance_cursor(self, name: str, position: int) -> None:
        """Note how far a sink has come; StoreFull if there is no room for that."""
        await self._write(self._store.advance_cursor, name, position)

    async def set_cursor(self, name: str, position: int, request_id: str = "") -> None:
        """Have a sink go on after `position`, back or ahead, as a request says; StoreFull if it cannot be noted."""
        await self._write(self._store.set_cursor, name, position, request_id)

    def room_of(self, cursor: int) -> int:
        """Tell how many more records may come before a sink that stays there loses some; 0: it may have lost some."""
        return max(0, self._keep_for_sinks - (self.position - cursor))

    async def restore_reserve(self) -> None:
        """Try to have the reserve whole again."""
        self.low = not await self._write(self._store.restore_reserve)

    def snapshot_due(self) -> bool:
        """Tell whether enough records have come since the last snapshot."""
        return self.position >= self._snapshot_due

    async def snapshot(self, position: int, tables: codec.Tables) -> None:
        """Write a snapshot of the tables as of `position`, which is durable; drop records that are not kept."""
        self._snapshot_due = position + self._snapshot_every
        text = await self._read(codec.encode_tables, tables)
        try:
            await self._write(self._store.write_snapshot, Snapshot(position, text))
            cursors = {name: await self.cursor(name) or 0 for name in self._readers}
            kept = max(min(cursors.values(), default=position), position - self._keep_for_sinks)
            await self._write(self._store.prune, min(position - self._keep_records, kept))
            self.oldest = await self.oldest_position()
        except StoreFull as error:  # the one before still serves
            _LOG.warning("no room for a snapshot of the log", why=str(error))
        else:
            self._warn(cursors)

    def _warn(self, cursors: Mapping[str, int]) -> None:
        for name, cursor in cursors.items():
            room = self.room_of(cursor)
            if room < self._keep_for_sinks // _WARN_PART:
                _LOG.warning(
                    "a sink is so far behind that it loses events soon: mend what it delivers to, or raise "
                    "store.keep_for_sinks",
                    sink=name,
                    behind=self.position - cursor,
                    records_left=room,
                )

    async def close(self) -> None:
        """Finish what is being written and let go of the store."""
        await self._write(self._store.close)
        self._writer.shutdown()
        self._reader.shutdown()
        self._digester.shutdown()

    async def _write(self, call: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *args)

    async def _read(self, call: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, call, *args)
