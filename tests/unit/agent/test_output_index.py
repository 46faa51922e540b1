"""When output was written, and how much of it is kept."""

import asyncio
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.logs import CHUNK_BYTES, RankLogs
from dlroverd_agent.output_index import OutputIndex, read_index, written_since
from dlroverd_agent.output_watch import OutputWatch
from dlroverd_agent.rank_file import RankFile
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.view import LogChunk
from dlroverd.protocol.messages import LogRequest, LogSource

KEY = GangKey(1, "trainer", 0).at(1).rank(0)
MIB = 1024 * 1024


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9)), max_size=20),
    st.data(),
    st.integers(-5, 120),
)
def test_since_leaves_out_nothing_that_was_written_since(
    steps: list[tuple[int, int]], data: st.DataObject, since: int
) -> None:
    """Bytes appear over time; only some of that was noted, as while the agent was away."""
    written: list[float] = []  # when each byte was
    noted: list[tuple[int, float]] = []
    now = 0
    for count, pause in steps:
        now += pause
        written += [now] * count
        if data.draw(st.booleans()):
            noted.append((len(written), now))
    start = written_since(noted, since, len(written), now)
    assert all(at <= since for at in written[:start])
    if noted and noted[-1][1] <= since and noted[-1][0] == len(written):
        assert start == len(written)  # nothing is shown of a rank that ended before


def test_since_is_as_exact_as_what_was_noted() -> None:
    noted = [(10, 1.0), (20, 2.0), (30, 3.0)]
    assert [written_since(noted, since, 35, 4.0) for since in (0.5, 1.0, 1.5, 2.0, 3.5, 4.0)] == [0, 10, 10, 20, 30, 35]


def test_a_clock_that_was_set_back_shows_more_and_not_less() -> None:
    assert written_since([(10, 100.0), (20, 50.0)], 60.0, 20, 50.0) == 0


def test_an_index_outlives_its_agent_and_a_torn_record(tmp_path: Path) -> None:
    path = tmp_path / "output.index"
    first = OutputIndex(path)
    first.note(10, 1.5)
    first.note(20, 2.5)
    with path.open("ab") as file:
        file.write(b"torn")
    second = OutputIndex(path)
    assert second.size == 20
    second.note(30, 3.5)
    second.note(40, 4.5)
    assert read_index(path) == [(10, 1.5), (20, 2.5), (30, 3.5), (40, 4.5)]


def test_an_index_is_bounded_and_keeps_the_newest_whole(tmp_path: Path) -> None:
    index = OutputIndex(tmp_path / "output.index", most_records=8)
    for second in range(1, 101):
        index.note(second * 10, float(second))
    records = read_index(tmp_path / "output.index")
    assert len(records) <= 8
    assert records[-4:] == [(n * 10, float(n)) for n in (97, 98, 99, 100)]
    assert records == sorted(records)
    assert all(size == at * 10 for size, at in records)


@pytest.fixture
def files(tmp_path: Path) -> RankFiles:
    (tmp_path / KEY.unit).mkdir()
    return RankFiles(tmp_path / KEY.unit)


def watching(tmp_path: Path, files: RankFiles, limit_bytes: int) -> OutputWatch:
    watch = OutputWatch(tmp_path, lambda _: files, limit_bytes, look_s=0.01)
    watch.watch(KEY)
    return watch


async def noted(files: RankFiles, size: int) -> None:
    async with asyncio.timeout(20):
        while True:
            records = read_index(files.output_index)
            if records and records[-1][0] == size:
                return
            await asyncio.sleep(0.005)


def test_a_file_beyond_its_limit_loses_its_head_and_no_offset(tmp_path: Path, files: RankFiles) -> None:
    async def scene() -> None:
        watch = watching(tmp_path, files, 2 * MIB)
        running = asyncio.create_task(watch.run())
        size = 0
        for _ in range(5):
            with files.output.open("ab") as file:
                for number in range(MIB // 8):
                    file.write(b"%07d\n" % ((size // 8) + number))
            size += MIB
            await noted(files, size)
        running.cancel()

    asyncio.run(scene())
    with RankFile(files.output) as file:
        assert file.size() == 5 * MIB
        assert file.first_byte() == 3 * MIB
        assert file.read(4 * MIB, 8) == b"%07d\n" % (4 * MIB // 8)
    assert os.lstat(files.output).st_blocks * 512 < 3 * MIB
    first = pieces(files)[0]
    assert (first.gap_bytes, first.offset, first.data[:8]) == (3 * MIB, 3 * MIB, b"%07d\n" % (3 * MIB // 8))
    everything = b"".join(each.data for each in pieces(files))
    assert everything == b"".join(b"%07d\n" % number for number in range(3 * MIB // 8, 5 * MIB // 8))


def test_what_is_let_go_under_a_slow_reader_is_a_gap_and_no_zeros(files: RankFiles) -> None:
    files.output.write_bytes(b"x" * (8 * CHUNK_BYTES))

    async def scene() -> list[LogChunk]:
        found: list[LogChunk] = []
        logs = RankLogs("n1", lambda _: files, lambda _: True)
        async for piece in logs.pieces(LogRequest(stream_id="s", sources=(LogSource(rank=KEY),))):
            if isinstance(piece, LogChunk):
                found.append(piece)
                if len(found) == 2:
                    with RankFile(files.output, writable=True) as file:
                        file.let_go(6 * CHUNK_BYTES)
        return found

    found = asyncio.run(scene())
    assert b"\0" not in b"".join(each.data for each in found)
    assert [(each.gap_bytes, each.offset) for each in found if each.gap_bytes] == [(4 * CHUNK_BYTES, 6 * CHUNK_BYTES)]


def test_a_reader_that_may_lag_so_much_skips_the_rest(files: RankFiles) -> None:
    files.output.write_bytes(b"x" * (8 * CHUNK_BYTES) + b"end")
    first = pieces(files, lag_bytes=100)[0]
    assert (first.gap_bytes, first.offset, first.data) == (
        8 * CHUNK_BYTES - 97,
        8 * CHUNK_BYTES - 97,
        b"x" * 97 + b"end",
    )


def test_since_is_taken_from_the_index_and_the_file_itself(files: RankFiles) -> None:
    index = OutputIndex(files.output_index)
    files.output.write_bytes(b"old\n")
    index.note(4, 1000.0)
    with files.output.open("ab") as file:
        file.write(b"new\n")
    assert [each.data for each in pieces(files, since=500.0) if each.data] == [b"old\nnew\n"]
    assert [each.data for each in pieces(files, since=1500.0) if each.data] == [b"new\n"]
    assert [each.data for each in pieces(files, since=time.time() + 5) if each.data] == []


def pieces(files: RankFiles, **ask: float) -> list[LogChunk]:
    async def collect() -> list[LogChunk]:
        logs = RankLogs("n1", lambda _: files, lambda _: True)
        request = LogRequest(stream_id="s", sources=(LogSource(rank=KEY),), **ask)  # type: ignore[arg-type] # the fields are of several types
        return [each async for each in logs.pieces(request) if isinstance(each, LogChunk)]

    return asyncio.run(collect())


def told(watch: OutputWatch, key: RankKey, *, code: int, ago_s: float = 0.0) -> str:
    exit_ = ExitInfo(exited_at=time.time() - ago_s, code=code, output_tail="last")
    return asyncio.run(watch.ended(key, exit_)).output_tail


@contextmanager
def mounted(kind: str, folder: Path) -> Iterator[Path]:
    folder.mkdir()
    subprocess.run(["mount", "-t", kind, "-o", "size=1m", "none", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts a small file system")


@needs_root
def test_a_full_disk_is_named_in_the_end_of_a_rank(tmp_path: Path) -> None:
    with mounted("tmpfs", tmp_path / "disk") as disk:
        watch = OutputWatch(disk, lambda key: RankFiles(disk / key.unit), MIB)
        assert told(watch, KEY, code=1) == "last"
        with pytest.raises(OSError, match="No space"):
            (disk / "filler").write_bytes(b"x" * 2 * MIB)
        assert "is full and ranks cannot write their output" in told(watch, KEY, code=1)
        assert told(watch, KEY, code=0) == "last"
        assert told(watch, KEY, code=1, ago_s=60.0) == "last"


@needs_root
def test_a_file_system_without_holes_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    async def scene() -> str:
        watch = watching(disk, files, MIB)
        running = asyncio.create_task(watch.run())
        async with asyncio.timeout(20):
            await noted(files, 3 * MIB)
            while True:
                if logged:
                    break
                await asyncio.sleep(0.005)
        running.cancel()
        return str(logged[0]["event"])

    with mounted("ramfs", tmp_path / "disk") as disk, capture_logs() as logged:
        (disk / KEY.unit).mkdir()
        files = RankFiles(disk / KEY.unit)
        files.output.write_bytes(b"x" * 3 * MIB)
        assert "cannot let go of the head of a file, so log_limit has no effect" in asyncio.run(scene())
        assert sum(len(each.data) for each in pieces(files)) == 3 * MIB
