"""Reads the output of ranks for whoever asked for it, by offset, from the files that are the truth.

Never ends a rank's stream before what the rank wrote has been read to its end. Slow readers slow down only
themselves: a piece is read when the one before it has been taken.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from dlroverd.model.ids import RankKey
from dlroverd.model.view import LogChunk
from dlroverd.protocol.messages import LogFailed, LogOpen, LogPiece, LogRequest, LogSource
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.rank_file import RankFile

CHUNK_BYTES = 64 * 1024
# A file's growth cannot be awaited with the standard library; this is what a person takes for "at once".
FOLLOW_S = 0.1


@dataclass(slots=True)
class _Reader:
    """Where the reading of one rank's output is. `end` is where it stops, None to follow."""

    key: RankKey
    file: RankFile
    offset: int
    gap_bytes: int
    end: int | None


@dataclass(frozen=True, slots=True)
class RankLogs:
    """The output of this node's ranks. `ended` says that nothing can write to a rank's output any more."""

    node: str
    files: Callable[[RankKey], RankFiles]
    ended: Callable[[RankKey], bool]

    async def pieces(self, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """Give all that a request asks for, in the order of the protocol."""
        yield LogOpen(stream_id=request.stream_id)
        waiting, readers, missing = list(request.sources), list[_Reader](), list[RankKey]()
        try:
            while waiting or readers:
                news = False
                for source in list(waiting):
                    over = self.ended(source.rank)
                    reader = await asyncio.to_thread(self._open, source, request)
                    if reader is not None:
                        readers.append(reader)
                    elif over:
                        missing.append(source.rank)
                    elif not request.follow:
                        yield self._chunk(source.rank, source.from_offset, b"", eof=True)
                    if reader is not None or over or not request.follow:
                        waiting.remove(source)
                for reader in list(readers):
                    over = not request.follow or self.ended(reader.key)  # before the read, so that it sees all
                    data = await asyncio.to_thread(_read, reader)
                    if data or over:
                        gap_bytes, reader.gap_bytes = reader.gap_bytes, 0
                        yield self._chunk(reader.key, reader.offset, data, gap_bytes=gap_bytes, eof=not data)
                    reader.offset += len(data)
                    news = news or bool(data)
                    if over and not data:
                        reader.file.close()
                        readers.remove(reader)
                if not news and (waiting or readers):
                    await asyncio.sleep(FOLLOW_S)
        except OSError as error:
            yield LogFailed(node=self.node, sentence=f"{self.node} cannot read its ranks' output: {error}.")
            return
        finally:
            for reader in readers:
                reader.file.close()
        if missing:
            names = ", ".join(map(str, missing))
            sentence = f"{self.node} has no output of {names}: it never ran there, or is past log_retention."
            yield LogFailed(node=self.node, sentence=sentence)

    def _open(self, source: LogSource, request: LogRequest) -> _Reader | None:
        try:
            file = RankFile(self.files(source.rank).output)
        except OSError:
            return None
        start, size = max(source.from_offset, 0), file.size()
        if request.tail_lines is not None:
            start = max(start, _tail(file, size, request.tail_lines))
        offset = max(start, file.first_byte())
        return _Reader(source.rank, file, offset, offset - start, None if request.follow else size)

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


def _read(reader: _Reader) -> bytes:
    limit_bytes = CHUNK_BYTES if reader.end is None else min(CHUNK_BYTES, reader.end - reader.offset)
    return reader.file.read(reader.offset, limit_bytes) if limit_bytes > 0 else b""


def _tail(file: RankFile, size: int, lines: int) -> int:
    """Find where the last `lines` lines begin; what follows the last newline is a line, too."""
    if lines == 0:
        return size
    wanted, start = lines, size
    if start and file.read(start - 1, 1) == b"\n":
        start -= 1
    while start > 0:
        block_start = max(0, start - CHUNK_BYTES)
        block = file.read(block_start, start - block_start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            wanted -= 1
            if wanted == 0:
                return block_start + at + 1
        start = block_start
    return 0
