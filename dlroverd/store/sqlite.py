"""The durable log in SQLite: WAL, one sync a commit, one writing and one reading connection.

Owns the files `lock`, `reserve` and `log.db*` of the state directory. Knows nothing of what records mean.
"""

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

from dlroverd.store import schema
from dlroverd.store.directory import lock_directory
from dlroverd.store.failures import explained, is_full, unreadable
from dlroverd.store.interface import DEFAULT_RESERVE_BYTES, Lineage, Record, Snapshot
from dlroverd.store.reserve import Reserve

WAL_LIMIT_BYTES = 16 * 1024 * 1024  # four times what SQLite's own checkpoints (1,000 pages) keep it to
_SHM_BYTES = 64 * 1024  # the index of a WAL of twice the limit: 32 KiB for 4,096 pages
_OPENING_BYTES = 256 * 1024  # what an empty log with its WAL and index takes, and some more
_PRUNE_STEP = 10_000

_T = TypeVar("_T")


class SqliteStore:
    """A `Store` in a directory. Safe to use from several threads; writing calls wait for one another."""

    def __init__(self, directory: Path, *, reserve_bytes: int = DEFAULT_RESERVE_BYTES) -> None:
        """Open the log in `directory`, or make one there.

        Raises:
            StoreLocked: another process has it.
            StoreNotWritable: the directory cannot be written, or others may enter it.
            StoreUnreadable: what is there is not a log that this program can read.
            StoreFull: there is no room even to open it.
        """
        self._directory = directory
        self._path = directory / "log.db"
        self._wal = directory / "log.db-wal"
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        with explained(directory), ExitStack() as opened:
            lock = lock_directory(directory)
            opened.callback(os.close, lock)
            self._reserve = opened.enter_context(closing(Reserve(directory / "reserve", reserve_bytes)))
            self._reserve.make_room(_OPENING_BYTES)
            self._with_space(self._find_or_create)
            # Kept open: closing any descriptor of a file would drop SQLite's locks on it.
            shm = os.open(directory / "log.db-shm", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            opened.callback(os.close, shm)
            # The reader is closed before the writer: the last one to close checkpoints, and a reader may not.
            self._writer = opened.enter_context(closing(self._with_space(self._connect_writer)))
            # SQLite allocates a byte of every page that it maps; where blocks are smaller than pages (ext4 of
            # 1 KiB), a write to the rest of one would end the process with SIGBUS once the disk is full.
            self._with_space(lambda: os.posix_fallocate(shm, 0, _SHM_BYTES))
            self._reader = opened.enter_context(closing(self._connect_reader()))
            self._log_id: str = self._query("SELECT id FROM log")[0][0]
            self._last = self._find_last_position()
            self._reserve.restore()
            self._opened = opened.pop_all()

    @property
    def log_id(self) -> str:
        """See `Store`."""
        return self._log_id

    @property
    def lineage(self) -> Lineage:
        """See `Store`."""
        rows = self._query("SELECT id, taken_at FROM ancestor ORDER BY id")
        return Lineage(tuple(name for name, _ in rows), max((at for _, at in rows), default=0.0))

    @property
    def space_low(self) -> bool:
        """See `Store`."""
        return not self._reserve.whole

    def append(self, records: Sequence[Record]) -> None:
        """See `Store`."""
        with self._write_lock:
            for expected, record in enumerate(records, self._last + 1):
                if record.position != expected:
                    raise ValueError(f"record {record.position} where {expected} follows")
            rows = [(record.position, record.now, record.inputs, record.events) for record in records]
            self._write(lambda: self._writer.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows))
            self._last += len(rows)

    def last_position(self) -> int:
        """See `Store`."""
        return self._last

    def oldest_position(self) -> int:
        """See `Store`."""
        ((oldest, newest_snapshot),) = self._query(
            "SELECT (SELECT min(position) FROM record), (SELECT max(position) FROM snapshot)"
        )
        return int(oldest or (newest_snapshot or 0) + 1)

    def read(self, after: int, limit: int, most_bytes: int | None = None) -> list[Record]:
        """See `Store`."""
        sql = "SELECT position, now, inputs, events FROM record WHERE position > ? ORDER BY position LIMIT ?"
        if most_bytes is None:
            records = [Record(*row) for row in self._query(sql, (after, limit))]
        else:
            records = self._read_bounded(sql, (after, limit), most_bytes)
        if records and records[-1].position - records[0].position != len(records) - 1:
            raise unreadable(self._directory, f"records are missing after position {records[0].position}")
        return records

    def _read_bounded(self, sql: str, values: tuple[Any, ...], most_bytes: int) -> list[Record]:
        records: list[Record] = []
        size = 0
        with self._read_lock, explained(self._directory), closing(self._reader.execute(sql, values)) as rows:
            for row in rows:
                records.append(Record(*row))
                size += len(records[-1].events)
                if size >= most_bytes:
                    break
        return records

    def latest_snapshot(self) -> Snapshot | None:
        """See `Store`."""
        rows = self._query("SELECT position, state FROM snapshot ORDER BY position DESC LIMIT 1")
        return Snapshot(*rows[0]) if rows else None

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """See `Store`."""

        def replace() -> None:
            self._writer.execute("DELETE FROM snapshot")
            self._writer.execute("INSERT INTO snapshot VALUES (?, ?)", (snapshot.position, snapshot.state))

        with self._write_lock:
            if not self._newest_snapshot_position() <= snapshot.position <= self._last:
                raise ValueError(f"a snapshot at {snapshot.position} of a log that ends at {self._last}")
            self._write(replace, use_reserve=False)

    def prune(self, keep_after_position: int) -> int:
        """See `Store`."""
        dropped = 0
        while step := self._prune_step(keep_after_position):
            dropped += step
        return dropped

    def _prune_step(self, keep_after_position: int) -> int:
        with self._write_lock:
            oldest = self.oldest_position()
            end = min(keep_after_position, self._newest_snapshot_position(), oldest + _PRUNE_STEP - 1)
            if end < oldest:
                return 0
            self._write(
                lambda: self._writer.execute("DELETE FROM record WHERE position <= ?", (end,)),
                use_reserve=False,
            )
            return end - oldest + 1

    def cursor(self, name: str) -> int | None:
        """See `Store`."""
        rows = self._query("SELECT position FROM cursor WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else None

    def cursor_request(self, name: str) -> str:
        """See `Store`."""
        rows = self._query("SELECT request FROM cursor WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def advance_cursor(self, name: str, position: int) -> None:
        """See `Store`."""
        self._put_cursor(name, position, "", "position = max(position, excluded.position)")

    def set_cursor(self, name: str, position: int, request_id: str = "") -> None:
        """See `Store`."""
        self._put_cursor(name, position, request_id, "position = excluded.position, request = excluded.request")

    def _put_cursor(self, name: str, position: int, request_id: str, over: str) -> None:
        """Put a cursor; `over` is what becomes of one that is there."""
        sql = f"INSERT INTO cursor VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET {over}"  # noqa: S608 - ours
        with self._write_lock:
            if not 0 <= position <= self._last:
                raise ValueError(f"a cursor at {position} in a log that ends at {self._last}")
            self._write(lambda: self._writer.execute(sql, (name, position, request_id)))

    def restore_reserve(self) -> bool:
        """See `Store`."""
        with self._write_lock, explained(self._directory):
            return self._reserve.restore()

    def close(self) -> None:
        """See `Store`."""
        with self._write_lock, self._read_lock, explained(self._directory):
            self._opened.close()

    def _find_or_create(self) -> None:
        if self._path.exists():
            schema.check(self._path)
        elif self._wal.exists():
            # A new log under this name would be given the lost one's pages.
            raise unreadable(self._directory, f"{self._wal.name} is there and {self._path.name} is not")
        else:
            schema.create(self._path)

    def _connect_writer(self) -> sqlite3.Connection:
        writer = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            writer.execute("PRAGMA synchronous = FULL")
            writer.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES // 4}")  # of a WAL that begins anew
            writer.execute("PRAGMA secure_delete = OFF")  # Debian's default zeroes, so pruning would write it all
            schema.migrate(writer)
        except BaseException:
            writer.close()
            raise
        return writer

    def _connect_reader(self) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )

    def _find_last_position(self) -> int:
        ((oldest, last, snapshot),) = self._query(
            "SELECT min(position), max(position), (SELECT max(position) FROM snapshot) FROM record"
        )
        if oldest is None:
            return int(snapshot or 0)
        if not oldest - 1 <= (snapshot or 0) <= last:
            raise unreadable(self._directory, f"records {oldest} to {last} do not go with snapshot {snapshot or 0}")
        return int(last)

    def _newest_snapshot_position(self) -> int:
        return int(self._query("SELECT coalesce(max(position), 0) FROM snapshot")[0][0])

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        """Read in one go: a reader that lingers would keep the WAL from being emptied."""
        with self._read_lock, explained(self._directory):
            return self._reader.execute(sql, values).fetchall()

    def _write(self, work: Callable[[], _T], *, use_reserve: bool = True) -> _T:
        """Do `work` in one durable transaction; the caller holds the write lock."""

        def transaction() -> _T:
            self._bound_wal()
            with self._writer:
                self._writer.execute("BEGIN IMMEDIATE")
                return work()

        with explained(self._directory):
            return self._with_space(transaction) if use_reserve else transaction()

    def _bound_wal(self) -> None:
        """Let the WAL begin anew when SQLite's own checkpoints have not kept it small."""
        # They give way to readers and to a full disk, and a snapshot is written at a stroke. Done before a
        # transaction and not after it, so that a failure is one of a call that has changed nothing; and
        # passive, as the stronger ones would wait for a stranger's reader at every append.
        if self._wal.stat().st_size > WAL_LIMIT_BYTES:
            with self._read_lock:
                self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _with_space(self, work: Callable[[], _T]) -> _T:
        """Do `work`, which leaves nothing behind when it fails, with space from the reserve if need be."""
        while True:
            try:
                return work()
            except (sqlite3.Error, OSError) as error:
                if not is_full(error) or not self._reserve.release():
                    raise
