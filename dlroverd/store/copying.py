"""A copy of a log that somebody may be writing to, and a copy put in the place of a log.

A restored log has an id of its own: what it is told from here on is not what its original was told, and who follows
that must not take one for the other. It keeps the ids of those it took the place of.
"""

import os
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dlroverd.store import schema
from dlroverd.store.directory import lock_directory, sync_directory
from dlroverd.store.failures import explained
from dlroverd.store.interface import StoreError

LOG = "log.db"
# What of a state directory is the log's own, and is not copied as a file.
OWN = frozenset({LOG, f"{LOG}-wal", f"{LOG}-shm", "lock", "reserve"})
_PAGES_A_STEP = 4096


class StateNotEmpty(StoreError):  # noqa: N818 - the name says what is so
    """A log is there already."""


@dataclass(frozen=True, slots=True)
class Copied:
    """Which log was copied, and up to which position."""

    log_id: str
    position: int


def copy_log(directory: Path, target: Path) -> Copied:
    """Copy the log of a state directory as it is at one moment, while a daemon may write to it.

    Raises:
        StoreError: there is none, or it cannot be read.
    """
    source = directory / LOG
    if not source.exists():
        raise StoreError(f"there is no log in {directory}: name the daemon's configuration (--config)")
    with explained(directory):
        schema.check(source)
        how = "mode=ro" if source.with_name(f"{LOG}-wal").exists() else "immutable=1"
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?{how}", uri=True)) as reader,
            closing(sqlite3.connect(target, isolation_level=None)) as writer,
        ):
            reader.backup(writer, pages=-1)  # in one step: a log that grows meanwhile would have it begin anew
            writer.execute("PRAGMA journal_mode = DELETE")  # one file
            ((log_id,),) = writer.execute("SELECT id FROM log").fetchall()
            ((position,),) = writer.execute(
                "SELECT coalesce(max(coalesce((SELECT max(position) FROM record), 0),"
                " coalesce((SELECT max(position) FROM snapshot), 0)), 0)"
            ).fetchall()
    return Copied(str(log_id), int(position))


def restore_log(copy: Path, directory: Path, taken_at: float, *, force: bool) -> Path | None:
    """Put a copy, which lies in `directory`, in the place of the log there; gives where an older one was moved to.

    Raises:
        StateNotEmpty: a log is there, and it was not said by `force` that it is to give way.
        StoreError: a daemon runs on it, or it cannot be written.
    """
    log = directory / LOG
    with explained(directory):
        lock = lock_directory(directory)
        try:
            if log.exists() and not force:
                raise StateNotEmpty(
                    f"there is a log in {directory} already: if the backup is to take its place, say --force (it is "
                    "kept beside it)"
                )
            replaced = _ids_of(log) if log.exists() else ()
            _make_heir(copy, replaced, taken_at)
            aside = _set_aside(log) if log.exists() else None
            copy.rename(log)
            sync_directory(directory)
            return aside
        finally:
            os.close(lock)


def _make_heir(copy: Path, replaced: tuple[str, ...], taken_at: float) -> None:
    schema.check(copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = FULL")
        schema.migrate(connection)
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            ((own,),) = connection.execute("SELECT id FROM log").fetchall()
            for ancestor in (own, *replaced):
                connection.execute("INSERT OR REPLACE INTO ancestor VALUES (?, ?)", (ancestor, taken_at))
            connection.execute("UPDATE log SET id = ?", (secrets.token_hex(16),))
        connection.execute("PRAGMA journal_mode = WAL")


def _ids_of(log: Path) -> tuple[str, ...]:
    """Name the log that gives way, and those it took the place of; none if it is too damaged to say so."""
    try:
        with closing(sqlite3.connect(log, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the file alone is all of it
            schema.migrate(connection)
            rows = connection.execute("SELECT id FROM log UNION SELECT id FROM ancestor").fetchall()
    except sqlite3.Error:
        return ()
    return tuple(name for (name,) in rows)


def _set_aside(log: Path) -> Path:
    """Keep the old log under another name; its own stays until the new one has it, so that none is ever missing."""
    aside = log.with_name(f"{LOG}.replaced-{time.time_ns()}")
    for suffix in ("-wal", "-shm"):
        if (extra := log.with_name(f"{LOG}{suffix}")).exists():
            extra.rename(f"{aside}{suffix}")
    os.link(log, aside)
    return aside
