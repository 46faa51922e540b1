"""What ranks write into their files gets into the spool once and in order, and out of the host's memory."""

import json
import os
from pathlib import Path

import pytest
from dlroverd_agent.events.files import EventFiles
from dlroverd_agent.events.lines import MOST_LINE_BYTES
from dlroverd_agent.events.reader import Look, Reader
from dlroverd_agent.events.readings import Readings
from dlroverd_agent.events.spool import Spool

from dlroverd.model.ids import RankKey

BOOT = "0123456789abcdef"
KEY = RankKey(3, "trainer", 0, 1, 0)
OTHER = RankKey(3, "trainer", 0, 1, 1)
MIB = 1024 * 1024


def line(number: int, name: str = "user.x", **more: object) -> bytes:
    return json.dumps({"n": name, "t": 1.0, "m": 2.0, "b": {"number": number}, **more}).encode() + b"\n"


class Node:
    """One agent's files, spool and reader, in one life after the other."""

    def __init__(self, root: Path, room: int = 64 * MIB) -> None:
        self.root, self.room = root, room
        self.live()

    def live(self) -> None:
        """Begin a life: what the one before knew in memory is gone."""
        self.files = EventFiles(self.root / "run", self.root, BOOT)
        self.spool = Spool(self.root / "spool", BOOT, self.room)
        self.readings = Readings()
        self.reader = Reader(self.files.folder, self.spool, self.readings)
        for name, key in self.files.found().items():
            self.reader.watch(name, key)

    def rank(self, key: RankKey) -> Path:
        """Have a rank start; its file."""
        path = self.files.make(key, os.geteuid(), os.getegid())
        self.reader.watch(path.name, key)
        return path

    def look(self) -> Look:
        """Look until there is no more; the last look."""
        while (look := self.reader.look()).more:
            pass
        return look

    def numbers(self, key: RankKey = KEY) -> list[int]:
        """Take all that the spool has; the numbers that a rank said."""
        return self.said().get(key, [])

    def said(self) -> dict[RankKey | None, list[int]]:
        """Take all that the spool has; the numbers that each rank said."""
        found: dict[RankKey | None, list[int]] = {}
        while (batch := self.spool.batch("n1")) is not None:
            for each in batch.events:
                found.setdefault(each.rank, []).append(json.loads(each.body)["number"])
            self.spool.taken(batch.spool, batch.events[-1].sequence)
        return found


def write(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_written_is_read_once_and_a_line_when_it_is_whole(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path, other = node.rank(KEY), node.rank(OTHER)
    write(path, line(1) + b"\n\n" + line(2) + line(3)[:20])
    write(other, line(7))
    assert node.reader.look().kept
    assert not node.look().kept
    assert node.said() == {KEY: [1, 2], OTHER: [7]}
    write(path, line(3)[20:])
    write(other, line(8))
    node.look()
    assert node.said() == {KEY: [3], OTHER: [8]}
    assert not node.reader.take_dropped()


def test_what_is_no_event_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path = node.rank(KEY)
    write(
        path, line(1) + b"\xff\n" + line(2, "job_moved") + b"{torn" + b"\n" + line(3) + b"x" * 3 * MIB + b"\n" + line(4)
    )
    node.look()
    assert node.numbers() == [1, 3, 4]
    assert dict(node.reader.take_dropped()) == {
        (KEY.unit, "a line that is no JSON"): 2,
        (KEY.unit, "a name that ranks may not use"): 1,
        (KEY.unit, "a line that is too long"): 1,
    }


def test_the_longest_line_is_read(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path = node.rank(KEY)
    room = MOST_LINE_BYTES - len(line(2)) - len('"pad": "", ')
    write(path, line(1) + b'{"pad": "' + b"x" * room + b'", ' + line(2)[1:] + line(3))
    node.look()
    assert node.numbers() == [1, 2, 3]


def test_a_rank_that_is_gone_is_read_to_its_end_and_its_file_removed(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path, torn = node.rank(KEY), node.rank(OTHER)
    write(path, b"".join(line(number) for number in range(5000)) + line(5000).rstrip())
    write(torn, line(1) + b'{"n": "user')
    for key in (KEY, OTHER):
        node.reader.end(key)
    node.look()
    assert node.numbers() == list(range(5001)), "a last line that is whole counts without its end"
    assert not path.exists()
    assert not torn.exists()
    assert dict(node.reader.take_dropped()) == {(OTHER.unit, "a line that is no JSON"): 1}
    assert not node.reader.busy()


def test_a_new_life_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    """The spool's disk held events that were not all taken; the file is the same, and so is what was let go of it."""
    node = Node(tmp_path)
    path, said = node.rank(KEY), 0
    for _ in range(4):
        for _ in range(3000):
            write(path, line(said := said + 1))
        node.look()
        assert path.stat().st_blocks * 512 < path.stat().st_size / 2 + MIB / 2, "what was read is let go"
        node.live()
    node.look()
    assert node.numbers() == list(range(1, said + 1))


def test_what_is_let_go_without_an_event_in_it_is_noted(tmp_path: Path) -> None:
    """Steps alone, which the spool never sees."""
    node = Node(tmp_path)
    path = node.rank(KEY)
    write(path, b"".join(line(number, "trainer.step", m=number / 10) for number in range(10_000)))
    node.look()
    assert path.stat().st_blocks * 512 < path.stat().st_size / 2
    assert {sample.metric for sample in node.readings.take()} == {"step_seconds", "steps_per_second"}
    node.live()
    write(path, line(1))
    node.look()
    assert node.numbers() == [1]
    assert not node.reader.take_dropped()


def test_a_full_spool_drops_and_counts(tmp_path: Path) -> None:
    node = Node(tmp_path, room=MIB)
    path = node.rank(KEY)
    write(path, b"".join(line(number) for number in range(10_000)))
    node.look()
    ((where, count),) = node.reader.take_dropped().items()
    assert where == (KEY.unit, "the spool was full")
    assert node.numbers() == list(range(10_000 - count))


def test_a_spool_that_cannot_take_leaves_it_in_the_file(tmp_path: Path) -> None:
    node = Node(tmp_path)
    blocked = tmp_path / "spool"
    blocked.touch()
    path = node.rank(KEY)
    write(path, line(1))
    node.reader.end(KEY)
    (problem,) = node.look().problems
    assert "Not a directory" in problem
    blocked.unlink()
    assert node.look() == Look(kept=True)
    assert node.numbers() == [1]
    assert not path.exists()


def test_a_file_that_waits_too_long_lets_go_of_its_oldest_and_counts_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    path = node.rank(KEY)
    page = b"".join(line(number, b={"number": number, "pad": "x" * 500}) for number in range(2000))
    pages = 100 * MIB // len(page)
    for _ in range(pages):
        write(path, page)
    node.reader.look()
    ((where, count),) = node.reader.take_dropped().items()
    assert where == (KEY.unit, "more than could wait on this node")
    assert len(page) * pages - 49 * MIB < count * len(page) / 2000 < len(page) * pages - 47 * MIB
    assert path.stat().st_blocks * 512 < 52 * MIB


@pytest.mark.parametrize("what", ["symlink", "fifo", "folder", "hard link"])
def test_what_is_put_in_the_place_of_a_file_is_refused_with_a_sentence(tmp_path: Path, what: str) -> None:
    node = Node(tmp_path)
    path, other = node.rank(KEY), node.rank(OTHER)
    secret = tmp_path / "secret"
    secret.write_bytes(line(99))
    path.unlink()
    if what == "symlink":
        path.symlink_to(secret)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        path.hardlink_to(secret)
    write(other, line(1))
    (problem,) = node.look().problems
    assert problem.startswith(f"the events of {KEY} are not read: ")
    assert node.numbers(OTHER) == [1]
    assert node.look().problems == ()
    assert path.is_dir() or not os.path.lexists(path)
    assert secret.read_bytes() == line(99)


def test_the_folder_is_the_agents_and_elsewhere_if_that_cannot_be(tmp_path: Path) -> None:
    first = EventFiles(tmp_path / "run", tmp_path / "a", BOOT)
    second = EventFiles(tmp_path / "run", tmp_path / "b", BOOT)
    assert first.folder.parent == second.folder.parent == tmp_path / "run"
    assert first.folder != second.folder
    assert first.problem == ""
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for unusable in (tmp_path / "file", tmp_path / "file" / "run", tmp_path / "open"):
        elsewhere = EventFiles(unusable, tmp_path / "a", BOOT)
        assert elsewhere.folder == tmp_path / "a" / "run"
        assert str(unusable) in elsewhere.problem


def test_what_an_older_boot_left_is_swept(tmp_path: Path) -> None:
    before = EventFiles(tmp_path / "run", tmp_path, "f" * 16)
    old = before.make(KEY, os.geteuid(), os.getegid())
    files = EventFiles(tmp_path / "run", tmp_path, BOOT)
    new = files.make(KEY, os.geteuid(), os.getegid())
    (files.folder / "stray").touch()
    assert new != files.make(OTHER, os.geteuid(), os.getegid())
    assert set(files.found().values()) == {KEY, OTHER}
    assert not old.exists()
    assert new.stat().st_mode & 0o777 == 0o600
    assert len(list(files.folder.iterdir())) == 2
