"""Audits: who was told something else than the log says is told again, and that is an event; all else is silent."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dlroverd.core.desired import desired
from dlroverd.core.state import State
from dlroverd.model.difference import DifferenceKind
from dlroverd.model.event import DifferenceSeen
from dlroverd.model.ids import GangKey
from dlroverd.model.input import DifferenceFound
from dlroverd.model.world import Tombstone
from dlroverd.protocol.messages import Beat
from dlroverd.runtime.audits import Audits
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.loop import Batch
from dlroverd.runtime.sessions import Session, Sessions
from dlroverd.store.sqlite import SqliteStore
from tests.unit.runtime.test_loop import Running, run
from tests.unit.runtime.test_sessions import hello


class Serving(Running):
    """A loop with sessions, which are told what becomes durable."""

    def __init__(self, store: SqliteStore) -> None:
        super().__init__(store)
        self.sessions = Sessions(self.state, self.inbox, 5.0)

    def release(self, batch: Batch) -> None:
        super().release(batch)
        for node, wanted in batch.desired:
            self.sessions.deliver(node, wanted)

    @property
    def found(self) -> list[DifferenceKind]:
        """All that was found so far."""
        events = [event for batch in self.released for event in batch.events]
        return [event.difference.kind for event in events if isinstance(event, DifferenceSeen)]

    async def until(self, met: Callable[[], bool]) -> None:
        while not met():
            await self.turn()


def audits(session: Session) -> int:
    return session.told.audit if session.told is not None else 0


def test_only_who_was_told_something_else_is_a_difference(tmp_path: Path) -> None:
    async def test() -> None:
        it = Serving(SqliteStore(tmp_path / "state", reserve_bytes=64 * 1024))
        tasks = [asyncio.create_task(it.loop.run())]
        good, bad = (it.sessions.open(hello(node)) for node in ("n1", "n2"))
        await it.until(lambda: good.told is not None and bad.told is not None)
        tasks.append(asyncio.create_task(Audits(it.loop, it.sessions, it.inbox, 0.05).run()))
        await it.until(lambda: audits(good) > 2 and audits(bad) > 2)
        assert it.found == []
        assert bad.told is not None
        wrong = Tombstone(
            round=GangKey(1, "trainer", 0).at(1), grace_s=0.0, evidence_s=0.0, reason="nobody decided that"
        )
        bad.told = replace(bad.told, tombstones=(wrong,))
        await it.until(lambda: it.found != [])
        again = audits(bad)
        await it.until(lambda: audits(bad) > again + 2)
        assert it.found == [DifferenceKind.UNTOLD]
        assert replace(bad.told, audit=0, position=0) == replace(desired(it.state, "n2"), position=0)
        tasks[1].cancel()
        it.loop.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
        await it.journal.close()

    run(test())


def test_an_agent_that_takes_nothing_loses_its_session_and_one_of_another_log_does_not() -> None:
    async def test() -> None:
        inbox = Inbox()
        sessions = Sessions(State("log"), inbox, 5.0)
        for log_id, ended in (("log", True), ("", True), ("other", False)):
            session = sessions.open(hello(f"of {log_id}"))
            await inbox.take(1.0)
            session.send(replace(desired(State("log"), "n1"), position=7))
            for _ in range(30):
                if not session.ended:
                    sessions.beat(session, Beat(applied_log_id=log_id, applied_position=6, observed_version=0))
            assert session.ended is ended
            found = [entry.input for entry in await inbox.take(0.0)]
            assert [each.kind for each in found if isinstance(each, DifferenceFound)] == [DifferenceKind.BEHIND] * ended

    run(test())
