"""The log on a real small file system that fills up: recovery goes on, nothing is halved, all heals by itself."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlroverd.store import sqlite
from dlroverd.store.interface import Record, Snapshot, StoreFull, StoreNotWritable
from dlroverd.store.sqlite import SqliteStore

MIB = 1024 * 1024
DISK_BYTES, RESERVE_BYTES = 16 * MIB, 4 * MIB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small file system")


class SmallDisk:
    """A tmpfs, and a ballast file that takes all the room there is."""

    def __init__(self, mount: Path) -> None:
        self.mount, self.state, self._ballast = mount, mount / "state", mount / "ballast"

    def open(self) -> SqliteStore:
        return SqliteStore(self.state, reserve_bytes=RESERVE_BYTES)

    def fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as ballast:
            for chunk_bytes in (64 * 1024, 4096, 1):
                self._write_until_full(ballast.fileno(), bytes(chunk_bytes))

    @staticmethod
    def _write_until_full(file: int, chunk: bytes) -> None:
        try:
            while True:
                os.write(file, chunk)
        except OSError:
            return

    def leave(self, free_bytes: int) -> None:
        os.truncate(self._ballast, self._ballast.stat().st_size - free_bytes)

    def clear(self) -> None:
        self._ballast.unlink()

    def reserve_bytes(self) -> int:
        return (self.state / "reserve").stat().st_blocks * 512


def mount_tmpfs(mount: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", mount], check=True)


def mount_ext4(mount: Path) -> None:
    """Blocks smaller than memory's pages: where those are mapped, a full disk ends in SIGBUS."""
    image = mount.with_name("image")
    with image.open("wb") as file:
        file.truncate(2 * DISK_BYTES)
    try:
        subprocess.run(["mkfs.ext4", "-q", "-b", "1024", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, mount], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs mkfs.ext4 and loop devices: {error}")


@pytest.fixture(params=[mount_tmpfs, mount_ext4])
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    mount = tmp_path / "mount"
    mount.mkdir()
    request.param(mount)
    try:
        yield SmallDisk(mount)
    finally:
        subprocess.run(["umount", "--lazy", mount], check=True)


def record(position: int, size: int = 1000) -> Record:
    return Record(position, float(position), "i", "e" * size)


def append_until_full(store: SqliteStore, size: int) -> Record:
    """Give the record that found no room."""
    while True:
        following = record(store.last_position() + 1, size)
        try:
            store.append([following])
        except StoreFull:
            return following


def test_appends_go_on_from_the_reserve_and_all_is_normal_once_there_is_space(disk: SmallDisk) -> None:
    with closing(disk.open()) as store:
        assert disk.reserve_bytes() >= RESERVE_BYTES
        store.append([record(1)])
        assert not store.space_low
        disk.fill()
        store.append([record(2, 100_000), record(3, 100_000)])
        assert store.space_low
        assert disk.reserve_bytes() < RESERVE_BYTES
        assert not store.restore_reserve()
        assert store.space_low
        disk.clear()
        assert store.restore_reserve()
        assert not store.space_low
        assert disk.reserve_bytes() >= RESERVE_BYTES
        assert store.read(0, 10) == [record(1), record(2, 100_000), record(3, 100_000)]


@pytest.mark.parametrize("size", [100, 20_000, 300_000])
def test_when_the_reserve_is_spent_the_append_is_refused_whole_and_may_be_made_again(
    disk: SmallDisk, size: int
) -> None:
    with closing(disk.open()) as store:
        disk.fill()
        refused = append_until_full(store, size)
        held = store.last_position()
        assert held > 0
        for _ in range(3):
            with pytest.raises(StoreFull, match="free some there"):
                store.append([refused, record(held + 2, 2 * MIB)])
            assert store.last_position() == held
            assert store.read(held - 1, 10) == [record(held, size)]
        disk.clear()
        store.append([refused])
        assert store.restore_reserve()
    with closing(disk.open()) as store:
        assert not store.space_low
        assert store.read(0, 1_000_000) == [record(n, size) for n in range(1, held + 2)]


def test_a_daemon_starts_on_a_full_disk(disk: SmallDisk) -> None:
    with closing(disk.open()) as store:
        store.append([record(1)])
    disk.fill()
    with closing(disk.open()) as store:
        assert store.space_low
        store.append([record(2)])
        store.advance_cursor("sink", 2)
        assert store.read(0, 10) == [record(1), record(2)]
    disk.clear()
    with closing(disk.open()) as store:
        assert not store.space_low


@pytest.mark.parametrize("free_kib", [4, 8, 10, 12, 16, 24, 40, 64])
def test_a_daemon_starts_on_a_disk_that_becomes_full_while_it_opens(disk: SmallDisk, free_kib: int) -> None:
    store = disk.open()
    store.append([record(1, 100_000)])
    store.close()
    disk.fill()
    disk.leave(free_kib * 1024)
    with closing(disk.open()) as store:
        store.append([record(2, 100_000)])
        assert store.space_low


def test_a_daemon_starts_again_after_it_was_refused_everything(disk: SmallDisk) -> None:
    store = disk.open()
    disk.fill()
    append_until_full(store, 5000)
    held = store.last_position()
    store.close()
    with closing(disk.open()) as store:
        assert store.last_position() == held


def test_a_log_cannot_be_made_on_a_full_disk_and_can_be_later(disk: SmallDisk) -> None:
    disk.fill()
    with pytest.raises(StoreFull, match="no space is left"):
        disk.open()
    disk.clear()
    with closing(disk.open()) as store:
        store.append([record(1)])
        assert not store.space_low


def test_a_snapshot_does_not_take_what_recovery_needs(disk: SmallDisk) -> None:
    with closing(disk.open()) as store:
        store.append([record(n) for n in range(1, 11)])
        store.write_snapshot(Snapshot(5, "five"))
        disk.fill()
        with pytest.raises(StoreFull):
            store.write_snapshot(Snapshot(10, "s" * MIB))
        assert not store.space_low
        assert disk.reserve_bytes() >= RESERVE_BYTES
        assert store.latest_snapshot() == Snapshot(5, "five")
        store.append([record(11)])


def test_the_reserve_lasts_for_many_small_turns(disk: SmallDisk) -> None:
    with closing(disk.open()) as store:
        for _ in range(1100):  # so that the WAL has its usual size, as in a daemon that has run a while
            store.append([record(store.last_position() + 1, 100)])
        disk.fill()
        for _ in range(4000):
            store.append([record(store.last_position() + 1, 400)])
        assert (disk.state / "log.db-wal").stat().st_size <= sqlite.WAL_LIMIT_BYTES // 2
        assert disk.reserve_bytes() > 0


def test_a_disk_that_may_only_be_read_is_refused(disk: SmallDisk) -> None:
    disk.open().close()
    subprocess.run(["mount", "-o", "remount,ro", disk.mount], check=True)
    with pytest.raises(StoreNotWritable, match="cannot be written: name another one"):
        disk.open()
