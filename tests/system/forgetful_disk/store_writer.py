"""A process that writes a log in a fixed way and says so: the one that is killed by test_store_crash.

    python -m tests.system.forgetful_disk.store_writer DIRECTORY [unsynced]

On stdout, before each call that changes the log, `try KIND VALUE`; when it has returned, `did KIND VALUE`.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from dlroverd.store.interface import Record, Snapshot
from dlroverd.store.sqlite import SqliteStore

RESERVE_BYTES = 256 * 1024


def record(position: int) -> Record:
    """Give the one record that may stand at `position`; some fill several pages."""
    inputs = f"{position:08d}" * (1 + position * 331 % 1100)
    return Record(position=position, now=1e9 + position / 3, inputs=inputs, events=inputs[::-1])


def snapshot(position: int) -> Snapshot:
    """Give the one snapshot that may stand at `position`."""
    return Snapshot(position=position, state=f"state {position}\n" * 400)


def _open(directory: Path, *, unsynced: bool) -> SqliteStore:
    store = SqliteStore(directory, reserve_bytes=RESERVE_BYTES)
    # So that checkpoints fall into a short life; SQLite's default is one in a thousand pages.
    store._writer.execute("PRAGMA wal_autocheckpoint = 12")
    if unsynced:  # the planted bug
        store._writer.execute("PRAGMA synchronous = OFF")
    _say("did", "open", store.log_id)
    return store


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _do(kind: str, value: int, call: Callable[[], object]) -> None:
    _say("try", kind, value)
    call()
    _say("did", kind, value)


def _turn(store: SqliteStore, turn: int) -> None:
    last = store.last_position()
    batch = [record(last + n) for n in range(1, 2 + turn % 3)]
    last = batch[-1].position
    _do("append", last, lambda: store.append(batch))
    if turn % 3 == 0:
        _do("cursor", last, lambda: store.advance_cursor("sink", last))
    if turn % 4 == 0:
        _do("snapshot", last - 1, lambda: store.write_snapshot(snapshot(last - 1)))
        _do("prune", last - 3, lambda: store.prune(last - 3))


def main() -> None:
    """Live one life, with an orderly stop and return in the middle."""
    directory, unsynced = Path(sys.argv[1]), sys.argv[2:] == ["unsynced"]
    for turns in (range(1, 6), range(6, 10)):
        store = _open(directory, unsynced=unsynced)
        for turn in turns:
            _turn(store, turn)
        store.close()


if __name__ == "__main__":
    main()
