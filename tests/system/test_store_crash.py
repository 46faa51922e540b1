"""The log after its writer was killed at an exact write and the power cut took what was not synced."""

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dlroverd.store.interface import StoreError
from dlroverd.store.sqlite import SqliteStore
from tests.system.forgetful_disk import disk
from tests.system.forgetful_disk.store_writer import RESERVE_BYTES, record, snapshot

ROOT = Path(__file__).parents[2]
ALL = 1_000_000


@dataclass
class Place:
    """One state directory on the forgetful disk, and what its writers have said so far."""

    library: Path
    root: Path
    ids: list[str] = field(default_factory=list)
    tried: dict[str, list[int]] = field(default_factory=lambda: {"append": [0]})
    done: dict[str, int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.journal.mkdir(parents=True)

    @property
    def state(self) -> Path:
        return self.root / "disk" / "state"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    def live(self, kill_at: int, when: disk.Moment, *options: str) -> int:
        """Run a writer until it ends or is killed; give its exit status."""
        (self.root / "disk").mkdir(exist_ok=True)
        variables = disk.environment(self.library, self.root / "disk", self.journal, kill_at=kill_at, when=when)
        life = subprocess.run(
            [sys.executable, "-m", "tests.system.forgetful_disk.store_writer", str(self.state), *options],
            cwd=ROOT,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        for line in life.stdout.splitlines():
            said, kind, value = line.split()
            if kind == "open":
                self.ids.append(value)
            elif said == "try":
                self.tried.setdefault(kind, []).append(int(value))
            else:
                self.done[kind] = int(value)
        return life.returncode

    def check(self) -> None:
        """See that all that was done is there, and nothing that was not tried; then add to it."""
        with closing(SqliteStore(self.state, reserve_bytes=RESERVE_BYTES)) as store:
            assert set(self.ids) <= {store.log_id}
            last = store.last_position()
            assert last in self.tried["append"], "a part of a batch, or what was never appended"
            assert last >= self.done["append"], "an append that had returned is lost"
            oldest = store.oldest_position()
            assert oldest - 1 in {0, *self.tried.get("prune", [])}
            assert oldest - 1 >= self.done["prune"]
            assert store.read(0, ALL) == [record(position) for position in range(oldest, last + 1)]
            newest = store.latest_snapshot()
            at = newest.position if newest else 0
            assert at in {0, *self.tried.get("snapshot", [])}
            assert max(self.done["snapshot"], oldest - 1) <= at <= last
            assert newest is None or newest == snapshot(at)
            cursor = store.cursor("sink") or 0
            assert cursor in {0, *self.tried.get("cursor", [])}
            assert self.done["cursor"] <= cursor <= last
            store.append([record(last + 1)])
        self.tried["append"] = [last + 1]
        self.done["append"] = last + 1
        with closing(SqliteStore(self.state, reserve_bytes=RESERVE_BYTES)) as store:
            assert store.read(last, 2) == [record(last + 1)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk.build(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def whole_life(library: Path, tmp_path_factory: pytest.TempPathFactory) -> list[disk.Point]:
    """Give the points of a life that nothing cuts short."""
    place = Place(library, tmp_path_factory.mktemp("whole").resolve())
    assert place.live(0, "before") == 0
    points = disk.points(place.journal)
    disk.forget(place.state.parent, place.journal, seed=1)
    place.check()
    return points


def calls(points: list[disk.Point]) -> list[tuple[str, str]]:
    return [(point.call, Path(point.path).name) for point in points]


def test_the_writer_is_seen_and_syncs_once_per_append(whole_life: list[disk.Point]) -> None:
    counts = Counter(calls(whole_life))
    assert [point.number for point in whole_life] == list(range(1, len(whole_life) + 1))
    assert counts["pwrite", "log.db-wal"] > 100
    assert counts["fdatasync", "log.db-wal"] >= 9
    assert counts["fdatasync", "log.db"] >= 2, "no checkpoint fell into this life"
    assert counts["rename", "log.db"] == 1


@pytest.mark.parametrize("part", range(4))
def test_a_power_cut_at_any_write_loses_nothing(
    part: int, library: Path, whole_life: list[disk.Point], tmp_path: Path
) -> None:
    taken_back = 0
    for point in whole_life[part::4]:
        # A life killed after a write and one killed before the next differ only where others learn of it.
        moments: tuple[disk.Moment, ...] = ("before",) if point.call == "pwrite" else ("before", "after")
        for when in moments:
            place = Place(library, (tmp_path / f"{point.number}-{when}").resolve())
            assert place.live(point.number, when) == -signal.SIGKILL
            assert calls(disk.points(place.journal)) == calls(whole_life[: point.number])
            taken_back += len(disk.forget(place.state.parent, place.journal, seed=point.number))
            place.check()
    assert taken_back > len(whole_life) / 4, "the disk forgot too little for this to prove anything"


def test_one_log_survives_power_cut_after_power_cut(library: Path, tmp_path: Path) -> None:
    rng = random.Random(20)
    place = Place(library, tmp_path.resolve())
    for _ in range(40):
        place.live(rng.randint(1, 150), "before")
        disk.forget(place.state.parent, place.journal, seed=rng.randrange(ALL))
        place.check()
    assert len(set(place.ids)) == 1
    assert place.done["append"] > 100
    assert place.done["snapshot"] > 0


def test_a_log_that_does_not_sync_is_caught(library: Path, tmp_path: Path) -> None:
    """The planted bug: without it, the tests above might pass on any disk."""
    caught = 0
    for kill_at in range(100, 200, 10):
        place = Place(library, (tmp_path / str(kill_at)).resolve())
        place.live(kill_at, "before", "unsynced")
        disk.forget(place.state.parent, place.journal, seed=kill_at)
        try:
            place.check()
        except (AssertionError, StoreError):
            caught += 1
    assert caught >= 3
