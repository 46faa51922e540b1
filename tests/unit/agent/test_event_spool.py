"""Events stay in the spool, in order and once, whatever ends the agent or fills the disk."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from dlroverd_agent.events.spool import BATCH_EVENTS, Spool
from hypothesis import given, settings
from hypothesis import strategies as st

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventBatch, Severity, SpooledEvent

RANK = RankKey(1, "trainer", 0, 1, 0)
MIB = 1024 * 1024


def event(number: int, severity: Severity = Severity.INFO, body: str = "") -> SpooledEvent:
    said = f'{{"number":{number},"text":"{body}"}}'
    return SpooledEvent(
        sequence=0, name="user.x", severity=severity, time=1.0, monotonic=2.0, rank=RANK, unit=RANK.unit, body=said
    )


def put(spool: Spool, first: int, count: int, **like: object) -> int:
    """Keep events, the end of number n in its file being 10 n; how many there was no room for."""
    numbers = range(first, first + count)
    return spool.append([(event(number, **like), 10 * number) for number in numbers], "file")  # type: ignore[arg-type] # severity and body


def drain(spool: Spool) -> Iterator[EventBatch]:
    """Take everything, as a daemon does."""
    while (batch := spool.batch("n1")) is not None:
        yield batch
        spool.taken(batch.spool, batch.events[-1].sequence)


def sequences(spool: Spool) -> list[int]:
    return [each.sequence for batch in drain(spool) for each in batch.events]


def test_events_come_out_as_they_went_in(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "boot-a", MIB)
    own = SpooledEvent(sequence=0, name="agent.start", time=3.0, monotonic=4.0, pid=7)
    spool.append([(own, 0)])
    put(spool, 1, 1, body="ü \\n")
    (batch,) = drain(spool)
    assert (batch.node, batch.boot_id, len(batch.spool)) == ("n1", "boot-a", 16)
    assert [each.sequence for each in batch.events] == [1, 2]
    assert batch.events[0].rank is None
    assert batch.events[1].body == '{"number":1,"text":"ü \\n"}'
    assert batch.events[1].rank == RANK


def test_a_batch_is_bounded_and_the_next_goes_on_behind_what_was_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", 64 * MIB)
    put(spool, 1, 1200)
    batches = list(drain(spool))
    assert [len(batch.events) for batch in batches] == [BATCH_EVENTS, BATCH_EVENTS, 200]
    put(spool, 1201, 30, body="x" * 60_000)
    assert all(sum(len(each.body) for each in batch.events) < MIB for batch in drain(spool))


def test_a_daemon_that_has_more_is_believed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", 64 * MIB)
    put(spool, 1, 3000)
    batch = spool.batch("n1") or pytest.fail("there is none")
    spool.taken(batch.spool, 2900)
    assert sequences(spool) == list(range(2901, 3001))


def test_what_is_not_of_this_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", 64 * MIB)
    put(spool, 1, 3)
    batch = spool.batch("n1") or pytest.fail("there is none")
    spool.taken("another", 3)
    spool.taken(batch.spool, 0)
    assert sequences(spool) == [1, 2, 3]


def test_files_that_the_daemon_has_are_deleted_and_numbers_go_on(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", MIB)  # so a file has 128 KiB
    for first in range(1, 2001, 100):
        put(spool, first, 100)
    assert len(list(tmp_path.iterdir())) > 2
    assert sequences(spool) == list(range(1, 2001))
    assert len(list(tmp_path.iterdir())) == 1
    after = Spool(tmp_path, "boot", MIB)
    assert after.read_to("file") == 20_000
    put(after, 2001, 1)
    assert sequences(after)[-1] == 2001


def test_another_daemon_is_sent_all_that_is_kept(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", MIB)
    put(spool, 1, 10)
    assert sequences(spool) == list(range(1, 11))
    spool.from_the_start()
    assert sequences(spool) == list(range(1, 11))


def test_a_new_boot_begins_a_spool_of_its_own_behind_the_old_one(tmp_path: Path) -> None:
    put(Spool(tmp_path, "boot-a", MIB), 1, 3)
    spool = Spool(tmp_path, "boot-b", MIB)
    assert spool.read_to("file") == 0
    put(spool, 1, 2)
    first, second = drain(spool)
    assert (first.boot_id, second.boot_id) == ("boot-a", "boot-b")
    assert first.spool != second.spool
    assert [each.sequence for each in second.events] == [1, 2]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_room_is_bounded_and_what_matters_has_more_of_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "boot", MIB)
    refused = sum(put(spool, first, 10, body="x" * 1000) for first in range(1, 2001, 10))
    minor = 2000 - refused
    assert 0.70 * MIB < size(tmp_path) < 0.76 * MIB
    assert put(spool, 3001, 1, body="x" * 1000, severity=Severity.DEBUG) == 1
    assert put(spool, 3001, 50, severity=Severity.WARNING) == 0
    worse = sum(put(spool, first, 10, body="x" * 1000, severity=Severity.ERROR) for first in range(4001, 5001, 10))
    assert worse > 0
    assert size(tmp_path) < MIB
    assert sequences(spool) == list(range(1, minor + 50 + 1000 - worse + 1)), "no number is given to what is refused"
    assert put(spool, 6001, 100) == 0, "there is room again"


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


@given(st.lists(st.integers(1, 7), min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_a_write_cut_at_any_byte_loses_and_doubles_nothing(counts: list[int], data: st.DataObject) -> None:
    """What a kill in the middle of the last write leaves: its first bytes, and all that came before."""
    with TemporaryDirectory() as root:
        folder = Path(root, "spool")
        spool, kept = Spool(folder, "boot", MIB), 0
        for count in counts[:-1]:
            put(spool, kept + 1, count)
            kept += count
        before = size(folder) if kept else 0
        put(spool, kept + 1, counts[-1])
        (file,) = folder.iterdir()
        os.truncate(file, data.draw(st.integers(before or len(file.read_bytes().split(b"\n")[0]) + 1, size(folder))))
        again = Spool(folder, "boot", MIB)
        whole = again.read_to("file") // 10
        assert kept <= whole <= kept + counts[-1]
        put(again, whole + 1, kept + counts[-1] + 1 - whole)
        events = [each for batch in drain(again) for each in batch.events]
        assert [each.sequence for each in events] == list(range(1, kept + counts[-1] + 2))
        assert [each.body for each in events] == [event(number).body for number in range(1, kept + counts[-1] + 2)]


def test_a_rotten_file_of_an_older_boot_loses_what_is_rotten_alone(tmp_path: Path) -> None:
    put(Spool(tmp_path, "boot-a", MIB), 1, 9)
    (file,) = tmp_path.iterdir()
    lines = file.read_bytes().split(b"\n")
    lines[4] = b"\0" * len(lines[4])
    file.write_bytes(b"\n".join(lines) + b"torn")
    empty = tmp_path / "0000000002-0123456789abcdef-10.jsonl"
    empty.write_bytes(b"\0\0\0")
    spool = Spool(tmp_path, "boot-b", MIB)
    assert sequences(spool) == [1, 2, 3, 5, 6, 7, 8, 9]
    assert spool.take_damaged() == 3
    assert spool.take_damaged() == 0


def fits(spool: Spool, first: int) -> bool:
    """Keep a hundred events more, if the disk has room."""
    try:
        return put(spool, first, 100, body="x" * 100) == 0
    except OSError:
        return False


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small file system")
def test_a_full_disk_loses_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512K", "none", tmp_path], check=True)
    try:
        ballast = tmp_path / "ballast"
        ballast.write_bytes(b"x" * 300_000)
        spool = Spool(tmp_path / "spool", "boot", 64 * MIB)
        put(spool, 1, 100)
        kept = 100
        while fits(spool, kept + 1):
            kept += 100
        assert spool.read_to("file") == 10 * kept
        with pytest.raises(OSError, match="No space left"):
            put(spool, kept + 1, 100, body="x" * 100)
        assert Spool(tmp_path / "spool", "boot", 64 * MIB).read_to("file") == 10 * kept
        ballast.unlink()
        put(spool, kept + 1, 100, body="x" * 100)
        assert sequences(spool) == list(range(1, kept + 101))
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_disk_that_is_full_from_the_start_is_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    spool = Spool(blocked / "spool", "boot", MIB)
    with pytest.raises(OSError, match="Not a directory"):
        put(spool, 1, 1)
    blocked.unlink()
    put(spool, 1, 1)
    assert sequences(spool) == [1]
