"""Stacks of ranks, asked of their agents: for a person, or since a gang may hang. Kept by nobody.

A request is repeated while its agent has not answered and there is time: to a session that takes the place of a broken
one, and to one that may have lost it.
"""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.stacks import RankStack
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import StackRequest, Stacks
from dlroverd.runtime.sessions import Session, Sessions

# Three looks in two seconds tell what stands from what moves; agents give themselves 14 s more.
LOOKS, APART_S = 3, 1.0
ANSWER_S = 20.0


class StackRequests:
    """All that is being asked for."""

    def __init__(self, state: State, sessions: Sessions, answer_s: float = ANSWER_S) -> None:
        """Begin with nothing asked."""
        self._state = state
        self._sessions = sessions
        self._answer_s = answer_s
        self._waiting: dict[str, asyncio.Future[Stacks]] = {}

    def take(self, stacks: Stacks) -> None:
        """Take an agent's answer; CallError if nobody waits for it (any more)."""
        waiting = self._waiting.pop(stacks.id, None)
        if waiting is None or waiting.done():
            raise CallError(Reason.NOT_FOUND, f"Nobody waits for the stacks {stacks.id:.40}.")
        waiting.set_result(stacks)

    async def of_job(self, job: int, role: str | None, gang: int | None, wanted: frozenset[int]) -> list[RankStack]:
        """Give the stacks of a job's ranks that run, in order. CallError if there are no such."""
        ranks = [
            rank
            for record in self._state.gangs_of(job)
            if record.state in LIVE_GANG and role in (None, record.key.role) and gang in (None, record.key.gang)
            for rank in self._state.world(record)
        ]
        missing = wanted - {rank.key.rank for rank in ranks}
        chosen = [rank for rank in ranks if not wanted or rank.key.rank in wanted]
        if ranks and missing:
            highest = max(rank.key.rank for rank in ranks)
            raise CallError(Reason.NOT_FOUND, f"Job {job} has ranks 0 to {highest}, and no {min(missing)}.")
        if not any(rank.state is RankState.RUNNING for rank in chosen):
            state = self._state.jobs[job].state
            raise CallError(Reason.REFUSED, f"Job {job} is {state}: nothing of it runs that could be looked at.")
        return await self.of((rank.key, rank.node) for rank in chosen)

    async def of(self, ranks: Iterable[tuple[RankKey, str]], threads: int = 0) -> list[RankStack]:
        """Give the stacks of ranks, each with its node; each has one, or a problem.

        `threads`: of so many threads of each process, the main one first; 0: of as many as an agent gives.
        """
        by_node: dict[str, list[RankKey]] = {}
        for key, node in ranks:
            by_node.setdefault(node, []).append(key)
        found = await asyncio.gather(*(self._of_node(node, keys, threads) for node, keys in by_node.items()))
        return sorted((stack for stacks in found for stack in stacks), key=lambda stack: stack.key)

    async def _of_node(self, node: str, keys: Sequence[RankKey], threads: int) -> list[RankStack]:
        problem = f"node {node} is not connected"
        given: dict[RankKey, RankStack] = {}
        try:
            async with asyncio.timeout(self._answer_s):
                while True:
                    session = await self._sessions.connected(node)
                    problem = (
                        f"node {node} did not answer within {self._answer_s:g} s: see if its agent is of this release"
                    )
                    if (answer := await self._ask(session, keys, threads)) is not None:
                        given = {stack.key: stack for stack in answer.ranks if stack.node == node}
                        problem = f"node {node} said nothing of it"
                        break
        except TimeoutError:
            pass
        except CallError as error:
            problem = error.sentence
        return [given.get(key) or RankStack(key=key, node=node, problem=problem) for key in keys]

    async def _ask(self, session: Session, keys: Sequence[RankKey], threads: int) -> Stacks | None:
        """Ask on one session; None if it ended before the answer."""
        request = StackRequest(
            id=secrets.token_hex(8), ranks=tuple(keys), looks=LOOKS, apart_s=APART_S, threads=threads
        )
        answer: asyncio.Future[Stacks] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = answer
        closed = asyncio.ensure_future(session.closed.wait())
        parts: set[asyncio.Future[Any]] = {answer, closed}
        try:
            session.request(request)
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else None
        finally:
            closed.cancel()
            self._waiting.pop(request.id, None)
