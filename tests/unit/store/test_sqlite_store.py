"""The SQLite log as its users see it, and each way in which it refuses."""

import fcntl
import os
import re
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from dlroverd.store import schema, sqlite
from dlroverd.store.interface import (
    Record,
    Snapshot,
    Store,
    StoreLocked,
    StoreNotWritable,
    StoreUnreadable,
)
from dlroverd.store.sqlite import SqliteStore

RESERVE_BYTES = 256 * 1024


def open_store(directory: Path) -> SqliteStore:
    return SqliteStore(directory, reserve_bytes=RESERVE_BYTES)


def records(first: int, last: int, size: int = 10) -> list[Record]:
    return [Record(n, 1.7e9 + n / 7, f'["in {n} \u00fc\x00"]', "e" * size) for n in range(first, last + 1)]


def made(directory: Path, count: int = 3) -> Path:
    """Leave a log with `count` records behind, closed; give the path of its file."""
    with closing(open_store(directory)) as store:
        store.append(records(1, count))
    return directory / "log.db"


def test_what_was_appended_is_read_back_unaltered_after_opening_again(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        first: Store = store
        log_id = first.log_id
        assert (first.last_position(), first.oldest_position(), first.read(0, 10)) == (0, 1, [])
        first.append(records(1, 2))
        first.append(records(3, 3))
        first.append([])
        assert first.read(0, 10) == records(1, 3)
    with closing(open_store(tmp_path / "state")) as store:
        assert store.log_id == log_id
        assert store.read(1, 1) == records(2, 2)
        assert store.last_position() == 3


def test_every_log_has_its_own_id(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "a")) as a, closing(open_store(tmp_path / "b")) as b:
        assert re.fullmatch("[0-9a-f]{32}", a.log_id)
        assert a.log_id != b.log_id


@pytest.mark.parametrize("positions", [[2], [1, 3], [1, 1], [0]])
def test_a_gap_is_refused_and_changes_nothing(tmp_path: Path, positions: list[int]) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        with pytest.raises(ValueError, match="follows"):
            store.append([Record(position, 0.0, "", "") for position in positions])
        assert store.last_position() == 0
        store.append(records(1, 1))


def test_a_batch_with_a_bad_record_is_refused_whole(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        with pytest.raises(UnicodeEncodeError):
            store.append([*records(1, 1), Record(2, 0.0, "\ud800", "")])
        assert store.read(0, 10) == []
        store.append(records(1, 2))
        assert store.read(0, 10) == records(1, 2)


def test_retention_keeps_all_that_the_newest_snapshot_does_not_hold(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        store.append(records(1, 10))
        assert store.prune(10) == 0
        store.write_snapshot(Snapshot(6, "six"))
        assert store.prune(4) == 4
        assert (store.oldest_position(), store.read(0, 1)) == (5, records(5, 5))
        assert store.prune(10) == 2
        assert store.oldest_position() == 7
        store.write_snapshot(Snapshot(10, "ten"))
        assert store.prune(10) == 4
        assert (store.oldest_position(), store.last_position()) == (11, 10)
    with closing(open_store(tmp_path / "state")) as store:
        assert store.latest_snapshot() == Snapshot(10, "ten")
        assert (store.oldest_position(), store.last_position()) == (11, 10)
        store.append(records(11, 11))


def test_a_long_log_is_pruned_in_steps(tmp_path: Path) -> None:
    count = sqlite._PRUNE_STEP * 2 + 5
    with closing(open_store(tmp_path / "state")) as store:
        store.append(records(1, count))
        store.write_snapshot(Snapshot(count, ""))
        assert store.prune(count - 1) == count - 1
        assert store.read(0, 10) == records(count, count)


def test_wrong_snapshots_and_cursors_are_refused(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        store.append(records(1, 5))
        store.write_snapshot(Snapshot(4, "four"))
        for position in (3, 6):
            with pytest.raises(ValueError, match="snapshot"):
                store.write_snapshot(Snapshot(position, ""))
        assert store.latest_snapshot() == Snapshot(4, "four")
        store.advance_cursor("sink", 3)
        store.advance_cursor("sink", 2)
        with pytest.raises(ValueError, match="cursor"):
            store.advance_cursor("sink", 6)
        assert (store.cursor("sink"), store.cursor("other")) == (3, None)
        for wrong in (-1, 6):
            with pytest.raises(ValueError, match="cursor"):
                store.set_cursor("sink", wrong)
        store.set_cursor("sink", 0, "again")
        store.advance_cursor("sink", 1)
        assert store.cursor("sink") == 1
    with closing(open_store(tmp_path / "state")) as store:
        assert (store.cursor("sink"), store.cursor_request("sink")) == (1, "again")
        assert store.cursor_request("other") == ""


def test_a_reader_gets_no_more_than_it_asked_for_but_one_record(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "state")) as store:
        store.append(records(1, 9, size=1000))
        assert store.read(2, 9, most_bytes=2500) == records(3, 5, size=1000)
        assert store.read(2, 2, most_bytes=2500) == records(3, 4, size=1000)
        assert store.read(2, 9, most_bytes=1) == records(3, 3, size=1000)
        assert store.read(9, 9, most_bytes=1) == []


def test_a_second_daemon_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from dlroverd.store.sqlite import SqliteStore\n"
        "store = SqliteStore(Path(sys.argv[1]), reserve_bytes=0); print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "state")],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreLocked, match=rf"\(pid {other.pid}\): stop that one, or name another"):
            open_store(tmp_path / "state")
        other.kill()
    open_store(tmp_path / "state").close()


def test_the_directory_and_its_files_are_private(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        store = open_store(tmp_path / "state")
    finally:
        os.umask(previous)
    with closing(store):
        store.append(records(1, 1))
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()}
    assert modes == dict.fromkeys(["lock", "reserve", "log.db", "log.db-wal", "log.db-shm"], 0o600)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


def test_a_directory_that_others_may_enter_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o755)
    with pytest.raises(StoreNotWritable, match="chmod 700"):
        open_store(tmp_path / "state")
    assert list((tmp_path / "state").iterdir()) == []
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o755


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreNotWritable, match="name another one"):
        open_store(tmp_path / "file" / "state")


def garbage(log: Path) -> None:
    log.write_bytes(b"not a database" * 1000)


def emptied(log: Path) -> None:
    log.write_bytes(b"")


def another_program(log: Path) -> None:
    log.unlink()
    with closing(sqlite3.connect(log)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def newer_version(log: Path) -> None:
    with closing(sqlite3.connect(log, isolation_level=None)) as connection:
        schema.migrate(connection, (*schema.MIGRATIONS, lambda c: c.execute("ALTER TABLE record ADD COLUMN checksum")))


def hole(log: Path) -> None:
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("DELETE FROM record WHERE position = 1")


def log_missing(log: Path) -> None:
    log.rename(log.with_name("log.db-wal"))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (garbage, "not one of dlroverd"),
        (emptied, "application id 0x0"),
        (another_program, "restore it from a backup"),
        (newer_version, "version 4 and this program reads up to 3: start the newer dlroverd"),
        (hole, "records 2 to 3 do not go with snapshot 0"),
        (log_missing, "log.db is not"),
    ],
)
def test_what_cannot_be_read_is_refused_untouched(
    tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    log = made(tmp_path / "state")
    damage(log)
    before = {path.name: path.read_bytes() for path in log.parent.glob("log.db*")}
    with pytest.raises(StoreUnreadable, match=sentence):
        open_store(log.parent)
    assert {path.name: path.read_bytes() for path in log.parent.glob("log.db*")} == before
    with (log.parent / "lock").open() as lock:  # the refusal has let go of it
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_hole_among_the_records_is_not_passed_over(tmp_path: Path) -> None:
    log = made(tmp_path / "state")
    with closing(sqlite3.connect(log)) as connection, connection:
        connection.execute("DELETE FROM record WHERE position = 2")
    with closing(open_store(log.parent)) as store, pytest.raises(StoreUnreadable, match="after position 1"):
        store.read(0, 10)


def test_an_older_log_is_brought_up_and_keeps_its_records(tmp_path: Path) -> None:
    log = made(tmp_path / "state")
    newer_version(log)
    with closing(sqlite3.connect(log)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (4,)
        assert connection.execute("SELECT count(*), count(checksum) FROM record").fetchone() == (3, 0)


def test_a_migration_that_fails_leaves_the_log_as_it_was(tmp_path: Path) -> None:
    log = made(tmp_path / "state")
    with (
        closing(sqlite3.connect(log, isolation_level=None)) as connection,
        pytest.raises(sqlite3.OperationalError),
    ):
        schema.migrate(
            connection,
            (
                *schema.MIGRATIONS,
                lambda c: c.execute("DROP TABLE record"),
                lambda c: c.execute("no such statement"),
            ),
        )
    with closing(open_store(log.parent)) as store:
        assert store.read(0, 10) == records(1, 3)


def test_a_birth_that_was_cut_off_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "state" / "log.db.new").write_bytes(b"half of a lo")
    (tmp_path / "state" / "log.db.new-journal").write_bytes(b"whatever")
    made(tmp_path / "state")
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"lock", "reserve", "log.db"}


def test_the_wal_stays_bounded_under_readers_that_never_pause(tmp_path: Path) -> None:
    wal = tmp_path / "state" / "log.db-wal"
    done = threading.Event()
    failures: list[BaseException] = []

    def read(store: SqliteStore) -> None:
        try:
            while not done.is_set():
                last = store.last_position()
                assert store.read(0, 10_000)[-1].position >= last
        except BaseException as error:  # noqa: BLE001 - carried to the main thread
            failures.append(error)

    batch_bytes, largest = 2 * 1024 * 1024, 0
    with closing(open_store(tmp_path / "state")) as store:
        store.append(records(1, 1))
        readers = [threading.Thread(target=read, args=(store,)) for _ in range(2)]
        for reader in readers:
            reader.start()
        for n in range(2, 42, 2):
            store.append(records(n, n + 1, batch_bytes // 2))
            largest = max(largest, wal.stat().st_size)
        done.set()
        for reader in readers:
            reader.join()
        assert failures == []
        store.write_snapshot(Snapshot(41, "s" * 2 * sqlite.WAL_LIMIT_BYTES))
        assert wal.stat().st_size > sqlite.WAL_LIMIT_BYTES
        store.append(records(42, 42))
        assert wal.stat().st_size <= sqlite.WAL_LIMIT_BYTES // 4
    assert largest <= sqlite.WAL_LIMIT_BYTES + 2 * batch_bytes


def test_another_writer_is_named_and_the_append_may_be_made_again(tmp_path: Path) -> None:
    log = made(tmp_path / "state")
    with (
        closing(open_store(log.parent)) as store,
        closing(sqlite3.connect(log, isolation_level=None)) as shell,
    ):
        store._writer.execute("PRAGMA busy_timeout = 0")  # it would wait some seconds for the other to end
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="sqlite3 shell"):
            store.append(records(4, 4))
        shell.execute("ROLLBACK")
        store.append(records(4, 4))
        assert store.read(0, 10) == records(1, 4)
