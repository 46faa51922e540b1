"""Output of ranks on its way to those who read it: from the agents, and of nodes that are away from what is held.

A reader has one bounded queue; when it is full its agents wait, and nobody else does. While following, an agent
that went away is asked again from where it was when it is back.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeState
from dlroverd.model.view import LogChunk
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import JobLogsReply, LogFailed
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.held_output import HeldOutput, Piece
from dlroverd.runtime.output_streams import OutputStreams, rank_of
from dlroverd.runtime.pipe import Pipe
from dlroverd.runtime.sessions import Session, Sessions

# Chunks have at most 64 KiB, so a reader that stalls costs a megabyte.
_QUEUE_CHUNKS = 16
# A follower is told of a node that is away for longer than an agent takes to restart.
_AWAY_S = 5.0
# An agent's calls end with its session, but not in the same instant.
_PARTING_S = 1.0
_NAMED_RANKS = 4
_AWAY_STATES = frozenset({NodeState.UNREACHABLE, NodeState.LOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which output is wanted; an empty filter means all. See JobLogsRequest."""

    job: int
    role: str | None = None
    gang: int | None = None
    ranks: frozenset[int] = frozenset()
    node: str | None = None
    round: int | None = None
    all_rounds: bool = False
    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    known: Mapping[RankKey, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Begin:
    """Where the reading of a rank begins, if not at the offset it is at."""

    tail_lines: int | None = None
    since: float | None = None


class Outputs:
    """All that is being read."""

    def __init__(
        self, state: State, sessions: Sessions, changes: Changes, streams: OutputStreams, held: HeldOutput
    ) -> None:
        """Begin with no reader."""
        self.state = state
        self.sessions = sessions
        self.changes = changes
        self.streams = streams
        self.held = held

    async def read(self, wanted: Wanted) -> AsyncIterator[JobLogsReply]:
        """Give the output that is wanted; CallError if there is no such job, or round of it."""
        if wanted.job not in self.state.jobs:
            raise CallError(Reason.NOT_FOUND, f"There is no job {wanted.job}; see `dlroverctl job list`.")
        newest = max((gang.round for gang in self.state.gangs_of(wanted.job)), default=0)
        if not wanted.follow and (wanted.round or 0) > newest:
            raise CallError(Reason.NOT_FOUND, f"Job {wanted.job} had no round {wanted.round} yet, but {newest} so far.")
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
        self._next: dict[GangKey, int] = {}
        self._over = asyncio.Event()

    async def feed(self) -> None:
        """Ask for each round as it comes, until the job is over and all is read."""
        state, wanted = self._outputs.state, self._wanted
        begin = Begin() if wanted.known else Begin(wanted.tail_lines, wanted.since)
        async with asyncio.TaskGroup() as fetching:
            with self._outputs.changes.follow(wanted.job) as wake:
                while True:
                    wake.clear()
                    for gang in state.gangs_of(wanted.job):
                        await self._ask(gang, begin, fetching)
                    job = state.jobs.get(wanted.job)
                    if not wanted.follow or job is None or job.state.final:
                        break
                    begin = Begin()  # what comes from here on is new as a whole
                    await wake.wait()
            self._over.set()

    async def _ask(self, gang: GangRecord, begin: Begin, fetching: asyncio.TaskGroup) -> None:
        """Read the rounds that are over, one after the other, and have the current one read beside what follows."""
        wanted = self._wanted
        if wanted.role not in (None, gang.key.role) or wanted.gang not in (None, gang.key.gang):
            return
        for number in range(self._first_round(gang), gang.round + 1):
            if wanted.round not in (None, number):
                continue
            round_ = gang.key.at(number)
            is_current = number == gang.round
            by_node = self._by_node(await self._ranks(gang, round_), round_)
            if is_current:
                self._read(by_node, begin, fetching, follow=wanted.follow)
            else:
                async with asyncio.TaskGroup() as over:
                    self._read(by_node, begin, over, follow=False)
        self._next[gang.key] = gang.round

    def _read(
        self, by_node: dict[str, dict[RankKey, int]], begin: Begin, group: asyncio.TaskGroup, *, follow: bool
    ) -> None:
        for node, sources in by_node.items():
            reading = _NodeReading(self._outputs, self.pipe, self._wanted.job, self._over, node, sources, begin, follow)
            group.create_task(reading.run(), name=f"output of {node}")

    def _first_round(self, gang: GangRecord) -> int:
        known = [key.round for key in self._wanted.known if key.gang_key == gang.key]
        if gang.key in self._next:
            return self._next[gang.key]
        if known:
            return min(known)
        return 1 if self._wanted.all_rounds or self._wanted.round is not None else gang.round

    async def _ranks(self, gang: GangRecord, round_: RoundKey) -> dict[RankKey, str]:
        """Give the ranks of a world that can be asked for, each with its node."""
        world = list(self._outputs.state.world(gang))
        if round_.round == gang.round:
            # Of ranks that an agent has not confirmed yet it may know nothing, so they are asked for later.
            unconfirmed = {rank.node for rank in world if rank.state is RankState.ASSIGNED}
            return {rank.key: rank.node for rank in world if rank.node not in unconfirmed}
        where: dict[RankKey, str] = {}
        try:
            where = await self._outputs.held.run(self._outputs.held.where, round_)
        except OSError as error:
            sentence = f"The daemon cannot tell where the ranks of round {round_.round} ran: {error}."
            await self.pipe.put(LogFailed(node="", sentence=sentence))
        # The state knows the nodes of the current world alone; a restart in place keeps them.
        return where or {round_.rank(rank.key.rank): rank.node for rank in world}

    def _by_node(self, ranks: dict[RankKey, str], round_: RoundKey) -> dict[str, dict[RankKey, int]]:
        """Give those that are wanted and not asked for yet, by node, each with the offset to begin at."""
        wanted = self._wanted
        found: dict[str, dict[RankKey, int]] = {}
        for key, node in ranks.items():
            if (round_, node) in self._asked or wanted.node not in (None, node):
                continue
            if not wanted.ranks or key.rank in wanted.ranks:
                found.setdefault(node, {})[key] = wanted.known.get(key, 0)
        self._asked |= {(round_, node) for node in ranks.values()}
        return found


@dataclass(slots=True)
class _NodeReading:
    """The reading of one node's ranks of one world, to their ends; `sources` keeps where each is."""

    outputs: Outputs
    pipe: Pipe[JobLogsReply]
    job: int
    job_over: asyncio.Event
    node: str
    sources: dict[RankKey, int]
    begin: Begin
    follow: bool

    async def run(self) -> None:
        """Read from the agent, or while that is away what is held here; say what cannot be had."""
        try:
            while self.sources:
                if self.follow and not await self._is_back(self._patience_s()):
                    await self._read_held()
                    if self.sources:
                        await self._fail(f"{self._away()} It goes on when the node is back.", passing=True)
                        await self._is_back(None)
                session = self.outputs.sessions.live(self.node)
                if session is None:
                    await self._read_held()
                    if self.sources:
                        await self._fail(self._away())
                    return
                await self._read_once(session)
                if self.sources and not self.follow and not await session.closed_within(_PARTING_S):
                    sentence = f"The agent of node {self.node} broke off its answer; ask again."
                    raise CallError(Reason.UNAVAILABLE, sentence)
        except CallError as error:
            await self._fail(error.sentence)
        except OSError as error:
            await self._fail(f"The daemon cannot read what it holds of the output on node {self.node}: {error}.")

    async def _fail(self, sentence: str, *, passing: bool = False) -> None:
        await self.pipe.put(LogFailed(node=self.node, sentence=sentence, passing=passing))

    def _patience_s(self) -> float:
        record = self.outputs.state.nodes.get(self.node)
        return 0.0 if record is not None and record.state in _AWAY_STATES else _AWAY_S

    async def _is_back(self, timeout_s: float | None) -> bool:
        """Wait for the node's session, but not beyond the job's end, or the time; whether there is one."""
        sessions = self.outputs.sessions
        back = asyncio.create_task(sessions.connected(self.node))
        over = asyncio.create_task(self.job_over.wait())
        try:
            await asyncio.wait({back, over}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            back.cancel()
            over.cancel()
        return sessions.live(self.node) is not None

    async def _read_once(self, session: Session) -> None:
        """Have the agent send until it is done or gone; CallError if it does not answer."""
        begin, self.begin = self.begin, Begin()
        reading = self.outputs.streams.read(
            session, self.sources, follow=self.follow, tail_lines=begin.tail_lines, since=begin.since
        )
        async with aclosing(reading) as pieces:
            async for piece in pieces:
                if isinstance(piece, LogFailed):
                    await self.pipe.put(piece)
                    self.sources.clear()
                    return
                await self._put(piece)

    async def _put(self, chunk: LogChunk) -> None:
        key = rank_of(self.job, chunk)
        if key not in self.sources:
            return  # not what was asked for
        await self.pipe.put(chunk)
        self.sources[key] = chunk.offset + len(chunk.data)
        if chunk.eof:
            del self.sources[key]

    async def _read_held(self) -> None:
        """Read what is held here; ranks that are held to their ends leave `sources`."""
        held = self.outputs.held
        for key in list(self.sources):
            pieces = cut(await held.run(held.read, key), self.sources[key], self.begin)
            at = pieces[0].offset if self.begin != Begin() and pieces else self.sources[key]
            blank = LogChunk(
                role=key.role, gang=key.gang, round=key.round, rank=key.rank, node=self.node, offset=at, data=b""
            )
            for piece in pieces:
                gap_bytes, at = piece.offset - at, piece.offset + len(piece.data)
                await self._put(replace(blank, offset=piece.offset, data=piece.data, gap_bytes=gap_bytes))
            if await held.run(held.complete, key):
                await self._put(replace(blank, offset=at, eof=True))
        self.begin = Begin()

    def _away(self) -> str:
        """Say what cannot be had of the node, and why."""
        record = self.outputs.state.nodes.get(self.node)
        how = "not connected"
        if record is not None and record.state in _AWAY_STATES:
            how = f"{record.state} since {_clock(record.since)}"
        after = [f"after byte {offset} of rank {key.rank}" for key, offset in sorted(self.sources.items())]
        named = ", ".join(after[:_NAMED_RANKS])
        more = f" and of {len(after) - _NAMED_RANKS} more ranks" if len(after) > _NAMED_RANKS else ""
        return f"Node {self.node} is {how}: its output {named}{more} cannot be had."


def cut(pieces: list[Piece], start: int, begin: Begin) -> list[Piece]:
    """Leave what lies from `start` on, and of that what is asked for; the pieces are in order of offset."""
    wanted = []
    for piece in pieces:
        known = max(0, start - piece.offset)
        if known < len(piece.data) and (begin.since is None or piece.at > begin.since):
            wanted.append(Piece(piece.offset + known, piece.at, piece.data[known:]))
    if begin.tail_lines is None:
        return wanted
    return _last_lines(wanted, begin.tail_lines)


def _last_lines(pieces: list[Piece], lines: int) -> list[Piece]:
    """Leave the last `lines` lines; what follows the last newline is a line, too."""
    if lines == 0 or not pieces:
        return []
    last = pieces[-1].data
    left = lines + last.endswith(b"\n")
    for index in range(len(pieces) - 1, -1, -1):
        data = pieces[index].data
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            left -= 1
            if left == 0:
                first = Piece(pieces[index].offset + at + 1, pieces[index].at, data[at + 1 :])
                return [first, *pieces[index + 1 :]] if first.data else pieces[index + 1 :]
    return pieces


def _clock(at: float) -> str:
    """Give a time of today as 14:02:11, another with its date; the daemon's local time."""
    moment, today = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if moment[:3] == today[:3] else "%Y-%m-%d %H:%M:%S", moment)
