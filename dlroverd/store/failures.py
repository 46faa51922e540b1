"""What a failing disk or file says, turned into one sentence with the remedy."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlroverd.store.interface import StoreError, StoreFull, StoreLocked, StoreNotWritable, StoreUnreadable

_PRIMARY_CODE = 0xFF  # SQLite keeps the kind of an extended result code in its low byte


@contextmanager
def explained(directory: Path) -> Iterator[None]:
    """Raise errors of SQLite and of the system about `directory` as a StoreError; let all others pass."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        failure = _store_error(error, directory)
        if failure is None:
            raise
        raise failure from error


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Tell whether space is what is missing: more of it, and the same call would succeed."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    # The wal-index is a file as well; SQLite has a code of its own for failing to make it larger.
    return _code(error) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK))


def _store_error(error: sqlite3.Error | OSError, directory: Path) -> StoreError | None:
    if is_full(error):
        return StoreFull(f"no space is left for the log in {directory}: free some there ({error})")
    if isinstance(error, OSError):
        return StoreNotWritable(
            f"the state directory {directory} cannot be written: name another one, or give the daemon's user "
            f"the right to ({error})"
        )
    match _code(error) & _PRIMARY_CODE:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return unreadable(directory, str(error))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreLocked(
                f"another program, perhaps a sqlite3 shell, is writing to the log in {directory}: end it"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreNotWritable(
                f"the log in {directory} cannot be written: give the daemon's user the right to ({error})"
            )
        case sqlite3.SQLITE_IOERR:
            return StoreNotWritable(
                f"the disk under {directory} failed: look at the kernel's log, then start the daemon again "
                f"({error}, {getattr(error, 'sqlite_errorname', '?')})"
            )
        case _:
            return None


def unreadable(directory: Path, finding: str) -> StoreUnreadable:
    """Refuse a log that is damaged or is none."""
    return StoreUnreadable(
        f"the log in {directory} is damaged or is not one of dlroverd ({finding}): restore it from a backup, "
        "or name an empty state directory to begin anew"
    )
