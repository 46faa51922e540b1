"""Reads the output of ranks for whoever asked for it, by offset, from the files that are the truth.

Never ends a rank's stream before what the rank wrote has been read to its end. Slow readers slow down only
themselves: a piece is read when those before it have been taken.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from dlroverd.model.ids import RankKey
from dlroverd.model.view import LogChunk
from dlroverd.protocol.messages import LogFailed, LogOpen, LogPiece, LogRequest, LogSource
from dlroverd_agent.kernel_log import kernel_log
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.output_index import read_index, written_since
from dlroverd_agent.rank_file import RankFile

CHUNK_BYTES = 64 * 1024
# A file's growth cannot be awaited with the standard library; this is what a person takes for "at once".
FOLLOW_S = 0.1
# Who may be left behind asks for all ranks all the time, so a look should cost little.
LAG_S = 0.3


@dataclass(slots=True)
class _Reader:
    """Where the reading of one rank's output is. `end` is where it stops, None to follow."""

    key: RankKey
    file: RankFile
    offset: int
    gap_bytes: int
    end: int | None

    def read(self, lag_bytes: int | None) -> bytes:
        """Read the next piece. What was let go, or is more than `lag_bytes` behind, becomes a gap."""
        if lag_bytes is not None:
            self._skip_to(self.file.size() - lag_bytes)
        while True:
            limit_bytes = CHUNK_BYTES if self.end is None else min(CHUNK_BYTES, self.end - self.offset)
            data = self.file.read(self.offset, limit_bytes) if limit_bytes > 0 else b""
            # Looked at after the read: what is let go reads as zeros, which the rank never wrote.
            if not data or not self._skip_to(self.file.first_byte()):
                return data

    def _skip_to(self, offset: int) -> bool:
        skipped = offset - self.offset
        if skipped <= 0:
            return False
        self.offset, self.gap_bytes = offset, self.gap_bytes + skipped
        return True


@dataclass(slots=True)
class _Reading:
    """One request on its way. Its methods block."""

    files: Callable[[RankKey], RankFiles]
    request: LogRequest
    waiting: list[LogSource]
    readers: list[_Reader] = field(default_factory=list)
    missing: list[RankKey] = field(default_factory=list)

    def keys(self) -> list[RankKey]:
        """Name the ranks that are not read to their ends."""
        return [source.rank for source in self.waiting] + [reader.key for reader in self.readers]

    def look(self, ended: set[RankKey]) -> list[tuple[_Reader, int, bytes, bool]]:
        """Read a piece of each rank: (reader, offset, data, eof). Of those in `ended`, nothing comes after its end."""
        self._open(ended)
        found = []
        for reader in list(self.readers):
            data = reader.read(self.request.lag_bytes)
            eof = not data and (not self.request.follow or reader.key in ended)
            if data or eof:
                found.append((reader, reader.offset, data, eof))
                reader.offset += len(data)
            if eof:
                reader.file.close()
                self.readers.remove(reader)
        return found

    def close(self) -> None:
        for reader in self.readers:
            reader.file.close()

    def _open(self, ended: set[RankKey]) -> None:
        for source in list(self.waiting):
            try:
                file = RankFile(self.files(source.rank).output)
            except OSError:
                if source.rank in ended:
                    self.missing.append(source.rank)
                    self.waiting.remove(source)
                continue
            self.waiting.remove(source)
            start, size = max(source.from_offset, 0), file.size()
            end = None if self.request.follow else size
            reader = _Reader(source.rank, file, max(start, self._begin(source.rank, file, size)), 0, end)
            reader.gap_bytes = max(0, file.first_byte() - reader.offset)
            reader.offset += reader.gap_bytes
            self.readers.append(reader)

    def _begin(self, key: RankKey, file: RankFile, size: int) -> int:
        """Find where what was asked for begins."""
        begin = 0
        if self.request.tail_lines is not None:
            begin = _tail(file, size, self.request.tail_lines)
        if self.request.since is not None:
            index = read_index(self.files(key).output_index)
            begin = max(begin, written_since(index, self.request.since, size, file.written_at()))
        return begin


@dataclass(frozen=True, slots=True)
class RankLogs:
    """The output of this node's ranks. `ended` says that nothing can write to a rank's output any more."""

    node: str
    files: Callable[[RankKey], RankFiles]
    ended: Callable[[RankKey], bool]

    async def pieces(self, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """Give all that a request asks for, in the order of the protocol."""
        yield LogOpen(stream_id=request.stream_id)
        if request.kernel is not None:
            yield await kernel_log(self.node, request.kernel)
            return
        reading = _Reading(self.files, request, list(request.sources))
        try:
            while keys := reading.keys():
                ended = set(filter(self.ended, keys))  # before the look, so that it sees all
                found = await asyncio.to_thread(reading.look, ended)
                for reader, offset, data, eof in found:
                    gap_bytes, reader.gap_bytes = reader.gap_bytes, 0
                    yield self._chunk(reader.key, offset, data, gap_bytes=gap_bytes, eof=eof)
                if not request.follow:
                    for source in reading.waiting:
                        yield self._chunk(source.rank, source.from_offset, b"", eof=True)
                    reading.waiting.clear()
                elif not ended and all(len(data) < CHUNK_BYTES for _, _, data, _ in found):
                    await asyncio.sleep(FOLLOW_S if request.lag_bytes is None else LAG_S)
        except OSError as error:
            yield LogFailed(node=self.node, sentence=f"{self.node} cannot read its ranks' output: {error}.")
            return
        finally:
            reading.close()
        if reading.missing:
            names = ", ".join(map(str, reading.missing))
            sentence = f"{self.node} has no output of {names}: it never ran there, or is past log_retention."
            yield LogFailed(node=self.node, sentence=sentence)

    def _chunk(self, key: RankKey, offset: int, data: bytes, *, gap_bytes: int = 0, eof: bool = False) -> LogChunk:
        return LogChunk(
            role=key.role,
            gang=key.gang,
            round=key.round,
            rank=key.rank,
            node=self.node,
            offset=offset,
            data=data,
            gap_bytes=gap_bytes,
            eof=eof,
        )


def _tail(file: RankFile, size: int, lines: int) -> int:
    """Find where the last `lines` lines begin; what follows the last newline is a line, too."""
    if lines == 0:
        return size
    wanted, start, head = lines, size, file.first_byte()
    if start and file.read(start - 1, 1) == b"\n":
        start -= 1
    while start > head:
        block_start = max(head, start - CHUNK_BYTES)
        block = file.read(block_start, start - block_start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if wanted == 0:
                return block_start + at + 1
        start = block_start
    return 0
