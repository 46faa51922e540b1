"""Holds each connected node, again and again, against what the log says that it should run, and has it told anew.

Nothing of this is needed while all goes well: a change of what a node should run goes out at once, and the agent says
at once what becomes of it. An audit finds what was lost on the way in spite of that, by a fault of ours or of a disk.
"""

import asyncio
from dataclasses import replace

from dlroverd.core.desired import desired
from dlroverd.model.difference import DifferenceKind
from dlroverd.model.input import DifferenceFound
from dlroverd.model.world import Desired
from dlroverd.protocol.errors import CallError
from dlroverd.runtime.inbox import Entry, Inbox
from dlroverd.runtime.loop import Loop
from dlroverd.runtime.sessions import Sessions

# What the last turn decided goes out a moment after it became durable.
_MOMENT_S = 1.0


class Audits:
    """The audits of all connected nodes, each once in `interval_s`, spread over that."""

    def __init__(self, loop: Loop, sessions: Sessions, inbox: Inbox, interval_s: float) -> None:
        """What differs is put into `inbox`."""
        self._loop = loop
        self._sessions = sessions
        self._inbox = inbox
        self._interval_s = interval_s

    async def run(self) -> None:
        """Audit for ever."""
        while True:
            nodes = self._sessions.nodes()
            for node in nodes:
                await asyncio.sleep(self._interval_s / len(nodes))
                await self._audit(node)
            if not nodes:
                await asyncio.sleep(min(_MOMENT_S, self._interval_s))

    async def survey(self, within_s: float) -> frozenset[str]:
        """Audit all connected nodes now, and have them look what really runs; gives those that have not in time."""
        looks = {asyncio.create_task(self._surveyed(node), name=node) for node in self._sessions.nodes()}
        done, late = await asyncio.wait(looks, timeout=within_s) if looks else (looks, looks)
        for look in late:
            look.cancel()
        for look in done:
            look.result()
        return frozenset(look.get_name() for look in late)

    async def _surveyed(self, node: str) -> None:
        await self._audit(node)
        if (session := self._sessions.live(node)) is not None:
            await session.surveyed()

    async def _audit(self, node: str) -> None:
        """Send what the log says, which has the agent tell all that it sees; note it if it was told something else."""
        try:
            wanted, last = await self._compare(node)
            if last is not None and not _same(wanted, last):
                await asyncio.sleep(_MOMENT_S)
                wanted, later = await self._compare(node)
                if later is last and not _same(wanted, last):
                    self._inbox.put(
                        Entry(
                            DifferenceFound(
                                node=node,
                                kind=DifferenceKind.UNTOLD,
                                what=f"the agent was last told of position {last.position} what is not so any more",
                                mended="it is told again",
                            )
                        )
                    )
                last = later
        except CallError:
            return  # the log's disk is full: nothing new may be told now
        session = self._sessions.live(node)
        if session is not None and last is not None:
            session.audit(wanted)

    async def _compare(self, node: str) -> tuple[Desired, Desired | None]:
        """Give what the log says of a node, and what it was told last; None if it is not told anything yet."""
        wanted = await self._loop.look(lambda state: desired(state, node))
        session = self._sessions.live(node)
        return wanted, session.told if session is not None else None


def _same(wanted: Desired, last: Desired) -> bool:
    """Tell whether two desired states say the same, or the second is the newer."""
    return last.position > wanted.position or replace(last, position=wanted.position, audit=0) == wanted
