"""What the daemon holds of ranks' output: the newest, bounded, with its gaps, over a restart and a torn end."""

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.runtime.held_output import LEAVE_FREE, RANK_BYTES, HeldOutput, NoRoomError, Piece
from dlroverd.runtime.outputs import Begin, cut

P = ParamSpec("P")
T = TypeVar("T")

GANG = GangKey(1, "trainer", 0)
KEY = GANG.at(1).rank(0)
MIB = 1024 * 1024


class Store:
    """A store, and another one after it on the same directory."""

    def __init__(self, folder: Path, limit_bytes: int = 64 * MIB, leave_free: float = LEAVE_FREE) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes
        self.held = HeldOutput(folder, limit_bytes, leave_free)

    def again(self) -> None:
        self.held.close()
        self.held = HeldOutput(self.folder, self._limit_bytes)

    def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(self.held.run(work, *args, **kwargs))

    def add(self, *data: bytes, key: RankKey = KEY, offset: int = 0) -> None:
        for each in data:
            self.do(self.held.add, "n1", key, Piece(offset, 1.0, each))
            offset += len(each)

    def read(self, key: RankKey = KEY) -> list[tuple[int, bytes]]:
        return [(piece.offset, piece.data) for piece in self.do(self.held.read, key)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "output")
    yield made
    made.held.close()


def test_what_was_held_is_there_after_a_restart_with_its_gaps_and_nodes(store: Store) -> None:
    other = GANG.at(2).rank(3)
    assert store.do(store.held.begin, "n1", [KEY]) == {KEY: 0}
    store.add(b"one\n", b"two\n")
    store.add(b"later\n", offset=100)
    store.do(store.held.begin, "a/node with..odd characters", [other])
    for _ in range(2):
        assert store.read() == [(0, b"one\n"), (4, b"two\n"), (100, b"later\n")]
        assert store.do(store.held.begin, "n1", [KEY]) == {KEY: 106}
        assert store.do(store.held.where, KEY.round_key) == {KEY: "n1"}
        assert store.do(store.held.where, other.round_key) == {other: "a/node with..odd characters"}
        store.again()
    store.do(store.held.finish, [KEY])
    store.again()
    assert store.do(store.held.complete, KEY)
    assert store.do(store.held.begin, "n1", [KEY, other]) == {other: 0}


def test_a_torn_end_costs_that_piece_alone(store: Store) -> None:
    store.add(b"whole", b"torn off")
    store.again()
    (segment,) = store.folder.glob("1/*/0/1")
    segment.write_bytes(segment.read_bytes()[:-1])
    assert store.do(store.held.begin, "n1", [KEY]) == {KEY: 5}
    store.add(b"torn off", offset=5)
    store.again()
    assert store.read() == [(0, b"whole"), (5, b"torn off")]


def test_a_torn_note_of_where_ranks_run_costs_those_ranks_alone(store: Store) -> None:
    keys = [GANG.at(1).rank(rank) for rank in range(3)]
    store.do(store.held.begin, "n1", keys[:1])
    store.do(store.held.begin, "n2", keys[1:2])
    store.again()
    (journal,) = store.folder.glob("1/*/ranks")
    journal.write_bytes(journal.read_bytes()[:-3])
    store.again()
    store.do(store.held.begin, "n3", keys[2:])
    store.again()
    assert store.do(store.held.where, KEY.round_key) == {keys[0]: "n1", keys[2]: "n3"}


def test_ranks_that_write_nothing_have_no_folders_of_their_own(store: Store) -> None:
    keys = [GANG.at(1).rank(rank) for rank in range(8)]
    store.do(store.held.begin, "n1", keys)
    store.do(store.held.finish, keys[:1])
    assert [path.name for path in store.folder.glob("1/*/*")] == ["ranks"]
    store.again()
    assert store.do(store.held.begin, "n1", keys) == dict.fromkeys(keys[1:], 0)


def test_what_was_let_go_is_not_taken_for_complete_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path, limit_bytes=MIB)
    keys = [GANG.at(1).rank(rank) for rank in range(3)]
    for key in keys:
        store.add(*[b"x" * (MIB // 8)] * 4, key=key)
        store.do(store.held.finish, [key])
    for _ in range(2):
        assert [store.do(store.held.complete, key) for key in keys] == [False, False, True]
        store.again()
    store.held.close()


def test_of_a_rank_the_newest_megabyte_is_held(store: Store) -> None:
    data = random.Random(1).randbytes(64 * 1024)
    store.add(*[data] * 64)
    held = store.read()
    assert held[-1] == (63 * len(data), data)
    assert RANK_BYTES <= sum(len(piece) for _, piece in held) <= 2 * RANK_BYTES
    assert [offset for offset, _ in held] == list(range(held[0][0], 64 * len(data), len(data)))
    on_disk = sum(path.stat().st_size for path in store.folder.rglob("*") if path.is_file())
    assert on_disk < 2 * RANK_BYTES


def test_of_all_ranks_those_that_were_written_last_are_held(tmp_path: Path) -> None:
    store = Store(tmp_path, limit_bytes=3 * MIB)
    keys = [GANG.at(1).rank(rank) for rank in range(6)]

    def write(key: RankKey) -> None:
        store.add(*[b"x" * (MIB // 8)] * 8, key=key)

    write(keys[0])
    write(keys[1])
    store.add(b"y", key=keys[0], offset=MIB)
    write(keys[2])
    assert [key for key in keys if store.read(key)] == [keys[0], keys[2]]
    store.again()
    for key in keys[3:]:
        write(key)
    assert [key for key in keys if store.read(key)] == keys[4:]
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 3 * MIB
    store.held.close()


def test_a_job_is_forgotten_whole(store: Store) -> None:
    other = GangKey(2, "trainer", 0).at(1).rank(0)
    store.add(b"a")
    store.add(b"b", key=other)
    store.do(store.held.forget, 1)
    assert store.read() == []
    assert store.read(other) == [(0, b"b")]
    assert [path.name for path in store.folder.iterdir()] == ["2"]


def test_the_last_of_the_disk_is_left_to_the_log(tmp_path: Path) -> None:
    store = Store(tmp_path, leave_free=1.01)
    with pytest.raises(NoRoomError, match="of the disk of"):
        store.add(b"a")
    store.held.close()
    store = Store(tmp_path)
    store.add(b"b", offset=1)
    assert store.read() == [(1, b"b")]
    store.held.close()


def test_a_directory_that_cannot_be_used_is_an_error_of_each_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "output")
    for _ in range(2):
        with pytest.raises(OSError, match="Not a directory"):
            store.read()
    store.held.close()


PIECES = [Piece(10, 1.0, b"a\nbc"), Piece(14, 2.0, b"d\ne\n"), Piece(100, 3.0, b"f\ng")]


@pytest.mark.parametrize(
    ("start", "begin", "left"),
    [
        (0, Begin(), [(10, b"a\nbc"), (14, b"d\ne\n"), (100, b"f\ng")]),
        (12, Begin(), [(12, b"bc"), (14, b"d\ne\n"), (100, b"f\ng")]),
        (50, Begin(), [(100, b"f\ng")]),
        (0, Begin(since=1.5), [(14, b"d\ne\n"), (100, b"f\ng")]),
        (0, Begin(tail_lines=0), []),
        (0, Begin(tail_lines=1), [(102, b"g")]),
        (0, Begin(tail_lines=2), [(100, b"f\ng")]),
        (0, Begin(tail_lines=4), [(12, b"bc"), (14, b"d\ne\n"), (100, b"f\ng")]),
        (0, Begin(tail_lines=99), [(10, b"a\nbc"), (14, b"d\ne\n"), (100, b"f\ng")]),
    ],
)
def test_what_is_held_is_cut_to_what_was_asked_for(start: int, begin: Begin, left: list[tuple[int, bytes]]) -> None:
    assert [(piece.offset, piece.data) for piece in cut(PIECES, start, begin)] == left
