"""Output of ranks, read by offset."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.logs import CHUNK_BYTES, RankLogs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.view import LogChunk
from dlroverd.protocol.messages import LogFailed, LogOpen, LogPiece, LogRequest, LogSource

KEY = GangKey(1, "trainer", 0).at(1).rank(0)


class Outputs:
    """Ranks' output in a folder; a rank is over once it is in `over`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.over: set[RankKey] = {KEY}
        self.logs = RankLogs("n1", self.files, self.over.__contains__)

    def files(self, key: RankKey) -> RankFiles:
        (self.folder / key.unit).mkdir(exist_ok=True)
        return RankFiles(self.folder / key.unit)

    def read(self, taken: Callable[[LogPiece], None] = lambda _: None, **ask: int | bool | None) -> list[LogPiece]:
        offset = int(ask.pop("from_offset", 0) or 0)
        source = LogSource(rank=KEY, from_offset=offset)
        request = LogRequest(stream_id="s", sources=(source,), **ask)  # type: ignore[arg-type]

        async def collect() -> list[LogPiece]:
            pieces = []
            async with asyncio.timeout(20):
                async for piece in self.logs.pieces(request):
                    pieces.append(piece)
                    taken(piece)
            return pieces

        return asyncio.run(collect())


@pytest.fixture
def outputs(tmp_path: Path) -> Outputs:
    return Outputs(tmp_path)


def chunks(pieces: list[LogPiece]) -> list[tuple[int, bytes, bool]]:
    assert pieces[0] == LogOpen(stream_id="s")
    return [(each.offset, each.data, each.eof) for each in pieces if isinstance(each, LogChunk)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.binary(max_size=300).map(lambda data: data.replace(b"\0", b"\n")), lines=st.integers(0, 9))
def test_a_tail_is_the_last_lines(outputs: Outputs, text: bytes, lines: int) -> None:
    outputs.files(KEY).output.write_bytes(text)
    every = [match[0] for match in re.finditer(rb"[^\n]*\n|[^\n]+", text)]
    wanted = b"".join(every[max(0, len(every) - lines) :])
    assert b"".join(data for _, data, _ in chunks(outputs.read(tail_lines=lines))) == wanted


def test_a_tail_longer_than_a_block_is_found(outputs: Outputs) -> None:
    text = b"".join(b"%d %s\n" % (number, b"x" * 1000) for number in range(300))
    outputs.files(KEY).output.write_bytes(text)
    pieces = chunks(outputs.read(tail_lines=200))
    assert b"".join(data for _, data, _ in pieces).startswith(b"100 x")
    assert all(len(data) <= CHUNK_BYTES for _, data, _ in pieces)


def test_reading_goes_on_from_an_offset_and_ends_with_eof(outputs: Outputs) -> None:
    outputs.files(KEY).output.write_bytes(b"0123456789")
    assert chunks(outputs.read(from_offset=4)) == [(4, b"456789", False), (10, b"", True)]
    assert chunks(outputs.read(from_offset=99)) == [(99, b"", True)]


def test_without_follow_what_is_written_meanwhile_is_not_waited_for(outputs: Outputs) -> None:
    outputs.over.clear()
    output = outputs.files(KEY).output
    output.write_bytes(b"a" * 10)

    def writes_on(_: LogPiece) -> None:
        with output.open("ab") as file:
            file.write(b"b" * 10)

    *some, (_, last, eof) = chunks(outputs.read(writes_on))
    assert (b"".join(data for _, data, _ in some), last, eof) == (b"a" * 10 + b"b" * 10, b"", True)


def test_following_begins_before_there_is_output_and_ends_after_its_last_byte(outputs: Outputs) -> None:
    outputs.over.clear()
    output = outputs.files(KEY).output

    def writes(piece: LogPiece) -> None:
        match piece:
            case LogOpen():
                output.write_bytes(b"one\n")
            case LogChunk(data=b"one\n"):
                with output.open("ab") as file:
                    file.write(b"two")
                outputs.over.add(KEY)

    assert chunks(outputs.read(writes, follow=True)) == [(0, b"one\n", False), (4, b"two", False), (7, b"", True)]


def test_what_was_let_go_at_the_head_is_a_gap(outputs: Outputs) -> None:
    path = outputs.files(KEY).output
    with path.open("wb") as file:
        file.seek(1 << 20)
        file.write(b"tail")
    if os.lseek(descriptor := os.open(path, os.O_RDONLY), 0, os.SEEK_DATA) == 0:
        pytest.skip("this file system keeps no holes")
    os.close(descriptor)
    first = outputs.read(from_offset=5)[1]
    assert isinstance(first, LogChunk)
    assert (first.offset - first.gap_bytes, first.data[-4:]) == (5, b"tail")


@pytest.mark.parametrize("put", [os.path.lexists, lambda path: path.symlink_to("/etc/passwd"), os.mkfifo])
def test_what_is_no_output_of_a_rank_is_refused_with_a_sentence(outputs: Outputs, put: Callable[[Path], None]) -> None:
    put(outputs.files(KEY).output)
    opened, failed = outputs.read()
    assert opened == LogOpen(stream_id="s")
    assert isinstance(failed, LogFailed)
    assert str(KEY) in failed.sentence


def test_a_rank_that_is_still_to_start_has_no_output_yet(outputs: Outputs) -> None:
    outputs.over.clear()
    assert chunks(outputs.read()) == [(0, b"", True)]
