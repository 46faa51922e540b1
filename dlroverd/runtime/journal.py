"""The durable log as the loop uses it: one thread that writes, one that reads and makes snapshots.

Owns the store's threads and when snapshots are made. Must not look into records.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple, Unpack

import structlog

from dlroverd.core.apply import apply, begin_turn
from dlroverd.core.state import State
from dlroverd.runtime import codec
from dlroverd.store.interface import Record, Snapshot, Store, StoreFull

Ts = TypeVarTuple("Ts")
T = TypeVar("T")

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

    def __init__(self, store: Store, *, snapshot_every: int, keep_records: int, readers: Iterable[str]) -> None:
        """Take over a store; `readers` name the cursors of the sinks, behind which nothing is dropped."""
        self._store = store
        self._snapshot_every = snapshot_every
        self._keep_records = keep_records
        self._readers = tuple(readers)
        self._writer = ThreadPoolExecutor(1, "log-writer")
        self._reader = ThreadPoolExecutor(1, "log-reader")
        latest = store.latest_snapshot()
        self._snapshot_due = (latest.position if latest else 0) + snapshot_every
        self.log_id = store.log_id
        self.position = store.last_position()
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

    async def oldest_position(self) -> int:
        """Give the position of the oldest record still held."""
        return await self._read(self._store.oldest_position)

    async def cursor(self, name: str) -> int:
        """Give how far a sink has come."""
        return await self._read(self._store.cursor, name)

    async def advance_cursor(self, name: str, position: int) -> None:
        """Note how far a sink has come; StoreFull if there is no room for that."""
        await self._write(self._store.advance_cursor, name, position)

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
            slowest = min([await self.cursor(name) for name in self._readers], default=position)
            await self._write(self._store.prune, min(position - self._keep_records, slowest))
        except StoreFull as error:  # the one before still serves
            _LOG.warning("no room for a snapshot of the log", why=str(error))

    async def close(self) -> None:
        """Finish what is being written and let go of the store."""
        await self._write(self._store.close)
        self._writer.shutdown()
        self._reader.shutdown()

    async def _write(self, call: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, call, *args)

    async def _read(self, call: Callable[[Unpack[Ts]], T], *args: *Ts) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, call, *args)
