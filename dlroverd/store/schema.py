"""The tables of the log, how a log is born, and how one of an older version is brought up to this one."""

import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from dlroverd.store.directory import sync_directory
from dlroverd.store.failures import unreadable
from dlroverd.store.interface import StoreUnreadable

APPLICATION_ID = 0x646C7264  # "dlrd", for file(1) and for us

Migration = Callable[[sqlite3.Connection], object]


def _version_1(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("CREATE TABLE log (id TEXT NOT NULL)")
    connection.execute(
        "CREATE TABLE record (position INTEGER PRIMARY KEY, now REAL NOT NULL,"
        " inputs TEXT NOT NULL, events TEXT NOT NULL)"
    )
    connection.execute("CREATE TABLE snapshot (position INTEGER PRIMARY KEY, state TEXT NOT NULL)")
    connection.execute("CREATE TABLE cursor (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID")
    connection.execute("INSERT INTO log VALUES (?)", (secrets.token_hex(16),))


def _version_2(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE cursor ADD COLUMN request TEXT NOT NULL DEFAULT ''")


def _version_3(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE ancestor (id TEXT PRIMARY KEY, taken_at REAL NOT NULL) WITHOUT ROWID")


MIGRATIONS: tuple[Migration, ...] = (_version_1, _version_2, _version_3)
"""Each brings a log from the version before to the next: the n-th makes version n. Only ever added to."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring a log up to the newest version, from nothing or from an older one, in one transaction."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for reached, migration in enumerate(migrations[version:], version + 1):
            migration(connection)
            connection.execute(f"PRAGMA user_version = {reached}")


def create(path: Path) -> None:
    """Make an empty log; it has its name only once it is whole and durable."""
    new = path.with_name(path.name + ".new")
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{new}{suffix}").unlink(missing_ok=True)  # of an attempt that was cut off
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(new, isolation_level=None)) as connection:
        migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")  # kept in the file
    new.rename(path)
    sync_directory(path.parent)


def check(path: Path) -> None:
    """See that a log is one this program may open, without changing it.

    Raises:
        StoreUnreadable: it is not.
    """
    # A WAL may hold a newer version than the file itself; without one, not even the files beside it are made.
    how = "mode=ro" if path.with_name(path.name + "-wal").exists() else "immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as connection:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise unreadable(path.parent, f"{path.name} has application id {application_id:#x}")
    if version > len(MIGRATIONS):
        raise StoreUnreadable(
            f"the log in {path.parent} has schema version {version} and this program reads up to "
            f"{len(MIGRATIONS)}: start the newer dlroverd that wrote it; nothing was changed"
        )
