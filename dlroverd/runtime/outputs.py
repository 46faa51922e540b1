"""Output of ranks on its way from agents to those who read it. Nothing of it is kept here.

A reader has one bounded queue; when it is full its agents wait, and nobody else does. While following, an agent
that went away is asked again from where it was when it is back.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dlroverd.core.state import State
from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import JobLogsReply, LogFailed, LogRequest, LogSource
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.pipe import Pipe
from dlroverd.runtime.sessions import Session, Sessions

# Chunks have at most 64 KiB, so a reader that stalls costs a megabyte.
_QUEUE_CHUNKS = 16
_OPEN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which output is wanted; an empty filter means all. `round` None: the current one, then each later one."""

    job: int
    role: str | None = None
    gang: int | None = None
    ranks: frozenset[int] = frozenset()
    node: str | None = None
    round: int | None = None
    follow: bool = False
    tail_lines: int | None = None


@dataclass(slots=True, eq=False)
class Stream:
    """One agent's answer to one request; `unwanted` says that nobody reads it any more."""

    pieces: Pipe[JobLogsReply] = field(default_factory=lambda: Pipe(1))
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)


class Outputs:
    """All streams that are being read."""

    def __init__(self, state: State, sessions: Sessions, changes: Changes) -> None:
        """Begin with none."""
        self.state = state
        self.sessions = sessions
        self.changes = changes
        self._streams: dict[str, Stream] = {}

    @contextmanager
    def expect(self) -> Iterator[tuple[str, Stream]]:
        """Await an agent's call under a new stream id, for as long as the context lasts."""
        stream_id, stream = secrets.token_hex(8), Stream()
        self._streams[stream_id] = stream
        try:
            yield stream_id, stream
        finally:
            del self._streams[stream_id]
            stream.unwanted.set()

    def attach(self, stream_id: str) -> Stream:
        """Give the stream that an agent's call is for; CallError if nobody waits for it (any more)."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.opened.is_set():
            raise CallError(Reason.NOT_FOUND, f"Nobody waits for the output {stream_id:.40}.")
        stream.opened.set()
        return stream

    async def read(self, wanted: Wanted) -> AsyncIterator[JobLogsReply]:
        """Give the output that is wanted; CallError if there is no such job."""
        if wanted.job not in self.state.jobs:
            raise CallError(Reason.NOT_FOUND, f"There is no job {wanted.job}; see `dlroverctl job list`.")
        reading = _Reading(self, wanted)
        feeder = asyncio.create_task(reading.feed(), name=f"output of job {wanted.job}")
        feeder.add_done_callback(lambda _: reading.pipe.end())
        try:
            async for piece in reading.pipe.read():
                yield piece
            await feeder
        finally:
            feeder.cancel()


class _Reading:
    """One reader's way through the rounds of a job."""

    def __init__(self, outputs: Outputs, wanted: Wanted) -> None:
        self.pipe: Pipe[JobLogsReply] = Pipe(_QUEUE_CHUNKS)
        self._outputs = outputs
        self._wanted = wanted
        self._asked: set[tuple[RoundKey, str]] = set()
        self._over = asyncio.Event()

    async def feed(self) -> None:
        """Ask for each round as it comes, until the job is over and all is read."""
        state, wanted = self._outputs.state, self._wanted
        async with asyncio.TaskGroup() as fetching:
            with self._outputs.changes.follow(wanted.job) as wake:
                while True:
                    wake.clear()
                    for node, sources in self._new_sources().items():
                        fetching.create_task(self._fetch(node, sources), name=f"output of {node}")
                    job = state.jobs.get(wanted.job)
                    if not wanted.follow or job is None or job.state.final:
                        break
                    await wake.wait()
            self._over.set()

    def _new_sources(self) -> dict[str, dict[RankKey, int]]:
        """Give the ranks not yet asked for, by node, each with the offset to begin at."""
        state, wanted = self._outputs.state, self._wanted
        found: dict[str, dict[RankKey, int]] = {}
        for gang in state.gangs_of(wanted.job):
            if wanted.role not in (None, gang.key.role) or wanted.gang not in (None, gang.key.gang):
                continue
            round_ = gang.key.at(gang.round if wanted.round is None else wanted.round)
            world, is_current = list(state.world(gang)), gang.round == round_.round
            # Of ranks that an agent has not confirmed yet it may know nothing, so they are asked for later.
            unconfirmed = {rank.node for rank in world if is_current and rank.state is RankState.ASSIGNED}
            # The nodes of an older round are not known any more; a restart in place keeps them.
            for rank in world:
                number = rank.key.rank
                if (round_, rank.node) in self._asked or rank.node in unconfirmed:
                    continue
                if wanted.node in (None, rank.node) and (not wanted.ranks or number in wanted.ranks):
                    found.setdefault(rank.node, {})[round_.rank(number)] = 0
            self._asked |= {(round_, rank.node) for rank in world if rank.node not in unconfirmed}
        return found

    async def _fetch(self, node: str, sources: dict[RankKey, int]) -> None:
        """Read one node's ranks to their ends; `sources` keeps where each is."""
        try:
            tail_lines = self._wanted.tail_lines
            while sources:
                session = await self._session(node)
                await self._read_once(session, sources, tail_lines)
                tail_lines = None
        except CallError as error:
            await self.pipe.put(LogFailed(node=node, sentence=error.sentence))

    async def _session(self, node: str) -> Session:
        """Give the node's session; when following, wait for it for as long as the job lives."""
        sessions = self._outputs.sessions
        if self._wanted.follow and sessions.live(node) is None:
            back = asyncio.create_task(sessions.connected(node))
            over = asyncio.create_task(self._over.wait())
            try:
                await asyncio.wait({back, over}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                back.cancel()
                over.cancel()
        session = sessions.live(node)
        if session is None:
            raise CallError(
                Reason.UNAVAILABLE, f"Node {node} is not connected, so the output there cannot be read now."
            )
        return session

    async def _read_once(self, session: Session, sources: dict[RankKey, int], tail_lines: int | None) -> None:
        """Have the agent send until it is done or gone; CallError if it cannot, or if it is and will not be back."""
        node = session.node
        with self._outputs.expect() as (stream_id, stream):
            session.request(
                LogRequest(
                    stream_id=stream_id,
                    sources=tuple(LogSource(rank=rank, from_offset=at) for rank, at in sources.items()),
                    tail_lines=tail_lines,
                    follow=self._wanted.follow,
                )
            )
            try:
                async with asyncio.timeout(_OPEN_S):
                    await stream.opened.wait()
            except TimeoutError:
                if self._outputs.sessions.live(node) is not session:
                    return  # it went away with the request unread
                raise CallError(
                    Reason.TIMED_OUT, f"The agent of node {node} did not answer within {_OPEN_S:g} s."
                ) from None
            async for piece in stream.pieces.read():
                await self.pipe.put(piece)
                if isinstance(piece, LogFailed):
                    sources.clear()
                    return
                key = RankKey(self._wanted.job, piece.role, piece.gang, piece.round, piece.rank)
                sources[key] = piece.offset + len(piece.data)
                if piece.eof:
                    sources.pop(key)
        if sources and not self._wanted.follow:
            raise CallError(Reason.UNAVAILABLE, f"The agent of node {node} went away; ask again.")
