"""The calls on which agents send the logs they were asked for. Knows nothing of who reads them, or why."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace

from dlroverd.model.ids import RankKey
from dlroverd.model.kernel_log import KernelLog, KernelWindow
from dlroverd.model.view import LogChunk
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import JobLogsReply, LogFailed, LogRequest, LogSource
from dlroverd.runtime.pipe import Pipe
from dlroverd.runtime.sessions import Session

_OPEN_S = 10.0


@dataclass(slots=True, eq=False)
class Stream:
    """One agent's answer to one request; `unwanted` says that nobody reads it any more."""

    pieces: "Pipe[JobLogsReply | KernelLog]" = field(default_factory=lambda: Pipe(1))
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)


class OutputStreams:
    """All streams that are being read."""

    def __init__(self) -> None:
        """Begin with none."""
        self._streams: dict[str, Stream] = {}

    def attach(self, stream_id: str) -> Stream:
        """Give the stream that an agent's call is for; CallError if nobody waits for it (any more)."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.opened.is_set():
            raise CallError(Reason.NOT_FOUND, f"Nobody waits for the output {stream_id:.40}.")
        stream.opened.set()
        return stream

    async def read(
        self,
        session: Session,
        sources: Mapping[RankKey, int],
        *,
        follow: bool,
        tail_lines: int | None = None,
        since: float | None = None,
        lag_bytes: int | None = None,
    ) -> AsyncGenerator[JobLogsReply, None]:
        """Have an agent send, and give what comes, until it is done or gone; CallError if it does not answer.

        `sources` are the ranks with the offsets to begin at; the others are as in `LogRequest`.
        """
        request = LogRequest(
            stream_id="",
            sources=tuple(LogSource(rank=rank, from_offset=at) for rank, at in sources.items()),
            follow=follow,
            tail_lines=tail_lines,
            since=since,
            lag_bytes=lag_bytes,
        )
        async with aclosing(self._answers(session, request)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, KernelLog):
                    yield piece

    async def kernel_log(self, session: Session, window: KernelWindow) -> KernelLog:
        """Have an agent read what its kernel said; CallError if it does not answer."""
        request = LogRequest(stream_id="", sources=(), kernel=window)
        sentence = f"The agent of node {session.node} is of an older release, which does not read its kernel's log."
        async with aclosing(self._answers(session, request)) as pieces:
            async for piece in pieces:
                if isinstance(piece, KernelLog):
                    return piece
                if isinstance(piece, LogFailed):
                    sentence = piece.sentence
        if session.closed.is_set():
            sentence = f"Node {session.node} went away before it had answered."
        raise CallError(Reason.UNAVAILABLE, sentence)

    async def _answers(self, session: Session, request: LogRequest) -> AsyncGenerator[JobLogsReply | KernelLog, None]:
        with self._expect() as (stream_id, stream):
            session.request(replace(request, stream_id=stream_id))
            if not await _first(stream.opened, session.closed):
                if session.closed.is_set():
                    return  # it went away with the request unread
                sentence = f"The agent of node {session.node} did not answer within {_OPEN_S:g} s."
                raise CallError(Reason.TIMED_OUT, sentence)
            # A host that died never ends its calls; its session is ended here.
            ending = asyncio.create_task(_end_with(session, stream))
            try:
                async for piece in stream.pieces.read():
                    yield piece
            finally:
                ending.cancel()

    @contextmanager
    def _expect(self) -> Iterator[tuple[str, Stream]]:
        """Await an agent's call under a new stream id, for as long as the context lasts."""
        stream_id, stream = secrets.token_hex(8), Stream()
        self._streams[stream_id] = stream
        try:
            yield stream_id, stream
        finally:
            del self._streams[stream_id]
            stream.unwanted.set()


async def _end_with(session: Session, stream: Stream) -> None:
    await session.closed.wait()
    stream.pieces.end()


async def _first(wanted: asyncio.Event, other: asyncio.Event) -> bool:
    """Wait for one of two events, and not for long; whether it was the first one."""
    tasks = [asyncio.create_task(each.wait()) for each in (wanted, other)]
    try:
        await asyncio.wait(tasks, timeout=_OPEN_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    return wanted.is_set()


def rank_of(job: int, chunk: LogChunk) -> RankKey:
    """Name the rank of a job that a chunk is of."""
    return RankKey(job, chunk.role, chunk.gang, chunk.round, chunk.rank)
