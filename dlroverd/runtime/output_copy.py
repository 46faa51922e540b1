"""Copies the output of ranks as they write it, so that what a node had sent is here when the node is not.

A reader of the agents like any other, on streams of its own, and a modest one: it takes no more than so many bytes a
second, and what a rank writes faster than that it skips. It can hold up neither a rank nor a recovery.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import ParamSpec

import structlog

from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.world import Assignment
from dlroverd.protocol.errors import CallError
from dlroverd.protocol.messages import LogFailed
from dlroverd.runtime.held_output import RANK_BYTES, HeldOutput, Piece
from dlroverd.runtime.output_streams import OutputStreams, rank_of
from dlroverd.runtime.sessions import Session, Sessions

P = ParamSpec("P")

NODE_BYTES_PER_S = 1024 * 1024
FLEET_BYTES_PER_S = 32 * 1024 * 1024
# A call for each node of a world that forms, and the end of one for each when it stops, would hold up the next world.
# When more nodes than that wait, it is a large one, and none of them begins before the daemon had little to do for a
# while; but no node waits for that for longer than `_MOST_WAIT_S`.
NODES_PER_S = 100
_QUIET_S = 1.0
_MOST_WAIT_S = 30.0
# After which an agent that lives and does not answer is asked again, the first time and at most: a fleet that is too
# busy to answer must not be asked for ever by a daemon that is too busy to hear it.
_RETRY_S, _MOST_RETRY_S = 10.0, 300.0
_LOG = structlog.get_logger("dlroverd.output")


class Pace:
    """Lets so many a second pass, and a second's worth at once."""

    def __init__(self, per_s: float) -> None:
        """Begin rested."""
        self._per_s = per_s
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may pass."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - 1.0) + count / self._per_s
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class OutputCopy:
    """Keeps what is held of the output up with the nodes."""

    def __init__(self, sessions: Sessions, streams: OutputStreams, held: HeldOutput) -> None:
        """Begin with nothing to copy."""
        self._sessions = sessions
        self._streams = streams
        self._held = held
        self._fleet_pace = Pace(FLEET_BYTES_PER_S)
        self._nodes_pace = Pace(NODES_PER_S)
        # What is to be copied and whose turn has not come, and since when it waits; one task begins them all.
        self._queue: dict[tuple[str, RoundKey], tuple[Assignment, float]] = {}
        self._beginning: asyncio.Task[None] | None = None
        self._also = 0
        self._first = asyncio.Lock()
        self._busy_at = 0.0
        self._tasks: dict[tuple[str, RoundKey], asyncio.Task[None]] = {}
        self._forgetting: set[asyncio.Task[None]] = set()
        self._said = ""

    def run_on(self, node: str, assignments: Iterable[Assignment]) -> None:
        """Copy what these ranks write on a node, from now on and to their ends."""
        for each in assignments:
            key = (node, each.round)
            if each.checking or key in self._tasks or key in self._queue:
                continue
            self._queue[key] = each, asyncio.get_running_loop().time()
            if self._beginning is None:
                self._beginning = asyncio.create_task(self._begin(), name="copies begin")

    def busy(self) -> None:
        """Note that the daemon has much to do just now."""
        self._busy_at = asyncio.get_running_loop().time()

    def forget(self, job: int) -> None:
        """Let go of a job that left the state."""
        self._queue = {key: waiting for key, waiting in self._queue.items() if key[1].job != job}
        for (_, round_), task in self._tasks.items():
            if round_.job == job:
                task.cancel()
        forgetting = asyncio.create_task(self._hold(self._held.forget, job))
        self._forgetting.add(forgetting)
        forgetting.add_done_callback(self._forgetting.discard)

    async def close(self) -> None:
        """Copy no more, and finish what was begun."""
        tasks = [*self._tasks.values(), *([self._beginning] if self._beginning is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._forgetting, return_exceptions=True)
        await asyncio.to_thread(self._held.close)

    async def _begin(self) -> None:
        """Begin what waits, one after the other, each in its turn."""
        try:
            while self._queue:
                await self._turn(next(iter(self._queue.values()))[1])
                if not self._queue:  # it was forgotten meanwhile
                    break
                key = next(iter(self._queue))
                node, (assignment, _) = key[0], self._queue.pop(key)
                task = asyncio.create_task(self._copy(node, assignment), name=f"copy of {assignment.round} on {node}")
                self._tasks[key] = task
                task.add_done_callback(partial(self._done, key))
        finally:
            self._beginning = None

    def _done(self, key: tuple[str, RoundKey], task: "asyncio.Task[None]") -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("output is not copied any more; please report it", node=key[0], exc_info=error)

    async def _copy(self, node: str, assignment: Assignment) -> None:
        pace = Pace(NODE_BYTES_PER_S)
        try:
            sources = await self._held.run(self._held.begin, node, assignment.ranks())
        except OSError as error:
            self._say(error)
            return
        retry_s = _RETRY_S
        while sources:
            session = await self._sessions.connected(node)
            try:
                if not await self._follow(session, assignment.round.job, sources, pace):
                    return  # nothing ever ran there, or nothing can be read; who asks for it is told
            except CallError:
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _MOST_RETRY_S)
                await self._in_turn()

    async def _follow(self, session: Session, job: int, sources: dict[RankKey, int], pace: Pace) -> bool:
        """Copy from one session until all is read, or it ends, and keep `sources` up to that; False if it cannot."""
        complete: list[RankKey] = []
        try:
            reading = self._streams.read(session, sources, follow=True, lag_bytes=RANK_BYTES)
            async with aclosing(reading) as pieces:
                async for piece in pieces:
                    if isinstance(piece, LogFailed):
                        return False
                    if (key := rank_of(job, piece)) not in sources:
                        continue  # not what was asked for
                    if piece.data:
                        await pace.take(len(piece.data))
                        await self._fleet_pace.take(len(piece.data))
                        held = Piece(piece.offset, time.time(), piece.data)
                        await self._hold(self._held.add, session.node, key, held)
                    sources[key] = piece.offset + len(piece.data)
                    if piece.eof:
                        if not complete:
                            await self._in_turn()
                        complete.append(key)
                        del sources[key]
        finally:
            if complete:
                await self._hold(self._held.finish, complete)
        return True

    async def _in_turn(self) -> None:
        """Wait until it is the turn of a node that was begun before, to end or to be asked again."""
        self._also += 1
        try:
            await self._turn(asyncio.get_running_loop().time())
        finally:
            self._also -= 1

    async def _turn(self, since: float) -> None:
        """Wait until it is the turn of a node that waits since then."""
        loop = asyncio.get_running_loop()
        latest = since + _MOST_WAIT_S
        async with self._first:
            while len(self._queue) + self._also > NODES_PER_S and loop.time() < latest:
                quiet_at = min(self._busy_at + _QUIET_S, latest)
                if quiet_at <= loop.time():
                    break
                await asyncio.sleep(quiet_at - loop.time())
            await self._nodes_pace.take(1)

    async def _hold(self, work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Have the store do something; what it cannot hold is missing from it."""
        try:
            await self._held.run(work, *args, **kwargs)
        except OSError as error:
            self._say(error)
        else:
            self._said = ""

    def _say(self, error: OSError) -> None:
        """Tell people, once for as long as it lasts."""
        if self._said != str(error):
            _LOG.warning("output of ranks is not held for when their node is away; make room", error=str(error))
        self._said = str(error)
