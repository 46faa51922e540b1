"""What lands in a file is what memory holds, whichever way it goes there."""

import mmap
import os
import random
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dlroverd_train.vault import streams

SIZE = 3 * streams.PIECE


@pytest.fixture(params=["tmp", "shm", "ramfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """One with direct writes, one in memory, and one that refuses direct writes."""
    if request.param == "ramfs":
        subprocess.run(["mount", "-t", "ramfs", "none", str(tmp_path)], check=True)
        yield tmp_path
        subprocess.run(["umount", str(tmp_path)], check=True)
    elif request.param == "shm":
        yield Path("/dev/shm")
    else:
        yield tmp_path


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, SIZE)],
        [(4096, 2 * streams.PIECE + 5), (3, 70_000)],
        [(4096, 1), (0, 4096), (8192, streams.PIECE)],
        [(4096, 0), (0, 0)],
        [(100, 2 * streams.PIECE)],
    ],
)
def test_a_file_is_what_memory_holds(ranges: list[tuple[int, int]], folder: Path) -> None:
    memory = mmap.mmap(-1, SIZE)
    memory[:] = random.Random(1).randbytes(SIZE)
    where = folder / f"dlroverd-streams-{os.getpid()}"
    try:
        pieces = streams.Streams(4).write(str(where), memoryview(memory), ranges)
        content = where.read_bytes()
    finally:
        where.unlink()
    assert content == b"".join(memory[start : start + length] for start, length in ranges)
    at = 0
    for length, checksum in pieces:
        assert zlib.crc32(content[at : at + length]) == checksum
        at += length
    assert at == len(content)
    assert max((length for length, _ in pieces), default=0) <= streams.PIECE


def test_memory_that_begins_within_a_page_is_written_all_the_same(tmp_path: Path) -> None:
    memory = memoryview(mmap.mmap(-1, SIZE))
    memory[:] = random.Random(2).randbytes(SIZE)
    streams.Streams(4).write(str(tmp_path / "file"), memory[1:], [(0, SIZE - 1)])
    assert (tmp_path / "file").read_bytes() == memory[1:]


def test_a_file_that_is_there_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("as it was")
    with pytest.raises(FileExistsError):
        streams.Streams(1).write(str(tmp_path / "there"), memoryview(mmap.mmap(-1, 4096)), [(0, 4096)])
    assert (tmp_path / "there").read_text() == "as it was"
