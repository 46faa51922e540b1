"""An agent that speaks the real protocol and runs nothing: its ranks are entries that tests end as they like.

It keeps what an agent keeps on its disk (which log it follows, what it holds) across sessions, counts every
start of every rank for ever, and forgets a rank as a real agent does.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc.aio

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeFacts
from dlroverd.model.view import LogChunk
from dlroverd.model.world import Desired, Held, Observed, Progress, RankObservation
from dlroverd.protocol.channel import DAEMON_NAME, TlsFiles, connect
from dlroverd.protocol.identity import IdentifiedStub
from dlroverd.protocol.messages import (
    AGENT_MESSAGE,
    DAEMON_MESSAGE,
    LOG_PIECE,
    Ack,
    AgentMessage,
    Beat,
    Hello,
    LogOpen,
    LogRequest,
    Welcome,
)


class ScriptedAgent:
    """One node's agent. `on_start` is called with each rank it starts."""

    def __init__(self, node: str, slots: int, on_start: Callable[["ScriptedAgent", RankKey], None]) -> None:
        self.node = node
        self.facts = NodeFacts(
            hostname=node, address="127.0.0.1", cpus=slots, memory_bytes=1, slots=slots, agent_version="test"
        )
        self.boot_id = f"boot-{node}"
        self.instance = ""
        self.tls: TlsFiles | None = None
        self.beats = True
        self.followed = ""
        self.desired = Desired(log_id="", position=0)
        self.ranks: dict[RankKey, RankObservation] = {}
        self.starts: Counter[RankKey] = Counter()
        self.received: list[Desired] = []
        self.refused: list[Desired] = []
        self.outputs: dict[RankKey, bytes] = {}
        self.pushing = 0
        self.welcomed = asyncio.Event()
        self._on_start = on_start
        self._known_since: dict[RankKey, int] = {}
        self._stopped: dict[GangKey, int] = {}
        self._version = 0
        self._acked = 0
        self._outbox: asyncio.Queue[AgentMessage] = asyncio.Queue()
        self._changed = asyncio.Event()

    # ---- what tests do to it

    def end(self, key: RankKey, code: int = 0) -> None:
        """Have a rank end by itself, its tree included."""
        if key in self.ranks and self.ranks[key].state is not RankState.GONE:
            self._see(key, RankState.GONE, ExitInfo(exited_at=time.time(), code=code))
            self._report()

    def step(self, key: RankKey, step: int) -> None:
        """Have a rank's gang be seen at a step."""
        self._outbox.put_nowait(Progress(round=key.round_key, step=step, at=time.time()))

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait for something that this agent is told or does."""
        while not met():
            await self._changed.wait()
            self._changed.clear()

    async def session(self, address: str) -> None:
        """Hold one session, until the daemon or the caller ends it; grpc.aio.AioRpcError says why."""
        self._outbox = asyncio.Queue()
        async with connect(address, self.tls, DAEMON_NAME) as channel, asyncio.TaskGroup() as group:
            stub = IdentifiedStub(channel, address)
            call = stub.Session(metadata=await stub.proof())
            tasks = [group.create_task(self._beat()), group.create_task(self._say(call))]
            try:
                async for message in call:
                    match DAEMON_MESSAGE.unwrap(message):
                        case Welcome():
                            self.welcomed.set()
                        case Desired() as desired:
                            self._apply(desired)
                        case Ack() as ack:
                            self._acked = ack.observed_version
                        case LogRequest() as request:
                            group.create_task(self._push(stub, request))
                    self._changed.set()
            finally:
                self.welcomed.clear()
                for task in tasks:
                    task.cancel()

    # ---- the agent's own

    async def _say(self, call: Any) -> None:
        hello = Hello(
            node=self.node,
            protocol_version=1,
            facts=self.facts,
            boot_id=self.boot_id,
            log_id=self.followed,
            position=self.desired.position if self.followed else 0,
            observed=self._observed(),
            held=Held(assignments=self.desired.assignments, jobs=self.desired.jobs),
            instance=self.instance,
        )
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # the reading side tells why it ended
            await call.write(AGENT_MESSAGE.wrap(hello))
            while True:
                await call.write(AGENT_MESSAGE.wrap(await self._outbox.get()))

    async def _beat(self) -> None:
        while self.beats:
            await asyncio.sleep(0.2)
            self._outbox.put_nowait(
                Beat(
                    applied_log_id=self.followed,
                    applied_position=self.desired.position,
                    observed_version=self._version,
                )
            )
            if self._acked < self._version:
                self._outbox.put_nowait(self._observed())

    def _observed(self) -> Observed:
        return Observed(version=self._version, position=self.desired.position, ranks=tuple(self.ranks.values()))

    def _apply(self, desired: Desired) -> None:
        adopting = bool(self.followed) and desired.adopt_from == self.followed
        foreign = bool(self.followed) and desired.log_id != self.followed
        if (foreign and not adopting) or (not foreign and desired.position < self.desired.position):
            self.refused.append(desired)
            return
        self.received.append(desired)
        self.followed, self.desired = desired.log_id, desired
        for tombstone in desired.tombstones:
            gang = tombstone.round.gang_key
            self._stopped[gang] = max(self._stopped.get(gang, 0), tombstone.round.round)
        for key, rank in list(self.ranks.items()):
            if rank.state is not RankState.GONE and self._is_stopped(key):
                self._see(key, RankState.GONE, ExitInfo(exited_at=time.time(), signal=15, requested=True))
        for assignment in desired.assignments:
            for key in assignment.ranks():
                if key not in self.ranks and not self._is_stopped(key):
                    self._start(key)
        self._forget(desired)
        self._report()
        if adopting:
            raise ReadoptedError

    def _is_stopped(self, key: RankKey) -> bool:
        return key.round <= self._stopped.get(key.gang_key, 0)

    def _start(self, key: RankKey) -> None:
        self.starts[key] += 1
        self._known_since[key] = self.desired.position
        self._see(key, RankState.RUNNING, None)
        self._on_start(self, key)

    def _forget(self, desired: Desired) -> None:
        named = {a.round for a in desired.assignments} | {t.round for t in desired.tombstones}
        for key, rank in list(self.ranks.items()):
            if (
                rank.state is RankState.GONE
                and key.round_key not in named
                and desired.position > self._known_since[key]
            ):
                del self.ranks[key]

    def _see(self, key: RankKey, state: RankState, exit_: ExitInfo | None) -> None:
        old = self.ranks.get(key) or RankObservation(key=key, state=state, pid=1000 + len(self.starts))
        self.ranks[key] = replace(old, state=state, exit=exit_)

    def _report(self) -> None:
        self._version += 1
        self._changed.set()
        self._outbox.put_nowait(self._observed())

    async def _push(self, stub: IdentifiedStub, request: LogRequest) -> None:
        async def pieces() -> AsyncIterator[Any]:
            yield LOG_PIECE.wrap(LogOpen(stream_id=request.stream_id))
            left = {source.rank: source.from_offset for source in request.sources}
            while left:
                for key, offset in list(left.items()):
                    rank = self.ranks.get(key)
                    ended = not request.follow or rank is None or rank.state is RankState.GONE
                    data = self.outputs.get(key, b"")[offset:]
                    yield LOG_PIECE.wrap(_chunk(self.node, key, offset, data, eof=ended))
                    left[key] += len(data)
                    if ended:
                        del left[key]
                await asyncio.sleep(0.02)

        self.pushing += 1
        try:
            await stub.PushLogs(pieces(), metadata=await stub.proof())
        finally:
            self.pushing -= 1
            self._changed.set()


def _chunk(node: str, rank: RankKey, offset: int, data: bytes, *, eof: bool) -> LogChunk:
    return LogChunk(
        role=rank.role,
        gang=rank.gang,
        round=rank.round,
        rank=rank.rank,
        node=node,
        offset=offset,
        data=data,
        eof=eof,
    )


class ReadoptedError(Exception):
    """The agent was told to follow another log, and says hello anew."""
