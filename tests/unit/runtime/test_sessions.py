"""Mailboxes hold the newest of each kind, and what is not acknowledged is the agent's to say again."""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.core.turn import Done
from dlroverd.model.ids import GangKey
from dlroverd.model.input import GangStepped, NodeSilent
from dlroverd.model.job import GangState
from dlroverd.model.world import Desired, Held, Observed, Progress, Tombstone
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import Ack, Beat, Heard, Hello, LogRequest
from dlroverd.runtime.inbox import Inbox
from dlroverd.runtime.sessions import Session, Sessions
from tests.unit.runtime import fleet


def run(test: Coroutine[Any, Any, None], loop: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(bounded())


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock leaps to the next timer when nothing else is left to do."""

    def __init__(self) -> None:
        selector = selectors.DefaultSelector()
        wait = selector.select
        self._ahead_s = 0.0

        def leap(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            self._ahead_s += timeout or 0.0
            return wait(0)

        selector.select = leap  # type: ignore[method-assign]  # what the loop waits by
        super().__init__(selector)

    def time(self) -> float:
        return super().time() + self._ahead_s


def hello(node: str = "n1", version: int = 3) -> Hello:
    first = fleet.hello(node)
    return Hello(
        node=node,
        protocol_version=1,
        facts=first.facts,
        boot_id="b",
        log_id="",
        position=0,
        observed=Observed(version=version),
        held=Held(),
    )


async def said(session: Session) -> list[object]:
    """Give what waits to be sent, which must be something."""
    outgoing = session.outgoing()
    found: list[object] = [await anext(outgoing)]
    while True:
        following = asyncio.ensure_future(anext(outgoing))
        await asyncio.sleep(0)
        if not following.done():
            following.cancel()
            return found
        found.append(following.result())


def test_only_the_newest_of_each_kind_waits() -> None:
    async def test() -> None:
        session = Session("n1")
        for position in (1, 2, 3):
            session.send(Desired(log_id="log", position=position))
            session.acknowledge(position)
        request = LogRequest(stream_id="s", sources=())
        session.request(request)
        assert await said(session) == [
            Desired(log_id="log", position=3),
            Ack(observed_version=3),
            request,
        ]

    run(test())


def test_an_agent_that_is_behind_for_some_beats_is_told_again() -> None:
    async def test() -> None:
        session = Session("n1")
        session.beat(Beat(applied_log_id="", applied_position=0, observed_version=0))
        wanted = Desired(log_id="log", position=7)
        session.send(wanted)
        assert await said(session) == [wanted]
        behind = Beat(applied_log_id="log", applied_position=6, observed_version=0)
        there = Beat(applied_log_id="log", applied_position=7, observed_version=0)
        for beat in (behind, behind, there, behind, behind):
            session.beat(beat)
        session.acknowledge(1)
        assert await said(session) == [Ack(observed_version=1)]
        session.beat(behind)
        assert await said(session) == [wanted]

    run(test())


def test_an_agent_that_has_nothing_to_do_for_it_is_told_at_leisure() -> None:
    async def test() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        session = sessions.open(hello())
        tombstone = Tombstone(round=GangKey(1, "worker", 0).at(1), grace_s=0.0, evidence_s=0.0, reason="it failed")
        stops = Desired(log_id="log", position=7, tombstones=(tombstone,))
        sessions.deliver("n1", stops)
        assert await said(session) == [stops]
        stopped = Desired(log_id="log", position=8)
        sessions.deliver("n1", stopped)
        assert session.told == stopped
        session.acknowledge(1)
        assert await said(session) == [Ack(observed_version=1)]
        behind = Beat(applied_log_id="log", applied_position=7, observed_version=0)
        assert not any(session.beat(behind) for _ in range(20))
        assert await said(session) == [stopped]
        sessions.deliver("n1", replace(stops, position=9))
        assert await said(session) == [replace(stops, position=9)]

    run(test(), HurriedLoop)


def test_what_is_to_be_done_at_once_takes_the_place_of_what_was_left_for_later() -> None:
    async def test() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        session = sessions.open(hello())
        tombstone = Tombstone(round=GangKey(1, "worker", 0).at(1), grace_s=0.0, evidence_s=0.0, reason="it failed")
        stops = Desired(log_id="log", position=7, tombstones=(tombstone,))
        sessions.deliver("n1", stops)
        assert await said(session) == [stops]
        sessions.deliver("n1", Desired(log_id="log", position=8))
        sessions.deliver("n1", replace(stops, position=9))
        assert await said(session) == [replace(stops, position=9)]
        session.acknowledge_at_leisure(4)
        assert await said(session) == [Ack(observed_version=4)]

    run(test(), HurriedLoop)


def test_a_beat_that_asks_is_answered_with_its_own_time() -> None:
    async def test() -> None:
        session = Session("n1")
        beat = Beat(applied_log_id="", applied_position=0, observed_version=0)
        session.beat(beat)
        session.acknowledge(1)
        assert await said(session) == [Ack(observed_version=1)]
        session.beat(replace(beat, asked_at=41.5))
        session.beat(replace(beat, asked_at=42.5))
        assert await said(session) == [Heard(asked_at=42.5)]

    run(test())


def test_a_report_that_waits_is_replaced_by_a_newer_one_and_both_are_acknowledged_once() -> None:
    async def test() -> None:
        inbox = Inbox()
        sessions = Sessions(State("log"), inbox, 5.0)
        session = sessions.open(hello())
        for version in (4, 5):
            sessions.report(session, Observed(version=version))
        first, second = await inbox.take(1.0)
        sessions.report(session, Observed(version=6))
        (third,) = await inbox.take(1.0)
        assert first.settle is not None
        first.settle(Done())
        assert await said(session) == [Ack(observed_version=hello().observed.version)]
        assert second.settle is not None
        second.settle(Done())
        assert await said(session) == [Ack(observed_version=5)]
        assert third.settle is not None
        third.settle(Done())
        assert await said(session) == [Ack(observed_version=6)]

    run(test(), HurriedLoop)


def test_a_report_that_failed_is_not_acknowledged() -> None:
    async def test() -> None:
        inbox = Inbox()
        sessions = Sessions(State("log"), inbox, 5.0)
        session = sessions.open(hello())
        await inbox.take(1.0)
        sessions.report(session, Observed(version=4))
        (entry,) = await inbox.take(1.0)
        assert entry.settle is not None
        entry.settle(CallError(Reason.INTERNAL, "no"))
        session.send(Desired(log_id="log", position=1))
        assert await said(session) == [Desired(log_id="log", position=1)]

    run(test())


def test_a_live_name_is_taken_until_its_session_is_closed() -> None:
    async def test() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        first = sessions.open(hello())
        with pytest.raises(CallError, match="n1") as refused:
            sessions.open(hello())
        assert refused.value.reason is Reason.DUPLICATE_NODE
        sessions.close(first)
        second = sessions.open(hello())
        sessions.close(first)
        assert sessions.live("n1") is second

    run(test())


def test_the_same_process_takes_the_place_of_its_own_session_at_once() -> None:
    async def test() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        first = sessions.open(replace(hello(), instance="one"))
        second = sessions.open(replace(hello(), instance="one"))
        assert (first.ended, second.ended, sessions.live("n1")) == (True, False, second)
        with pytest.raises(CallError, match="took the place of this one"):
            await said(first)

    run(test())


def test_another_process_waits_until_the_first_misses_beats_and_is_told_where_that_is() -> None:
    async def test() -> None:
        sessions = Sessions(State("log"), Inbox(), 5.0)
        first = sessions.open(replace(hello(), instance="one"), "10.0.0.5")
        other = replace(hello(), instance="two", boot_id="another")
        with pytest.raises(CallError, match=r"as node n1 from 10\.0\.0\.5: stop one"):
            sessions.open(other)
        first.heard_at_s -= 2 * sessions.beat_interval_s
        assert sessions.open(other) is sessions.live("n1")
        assert first.ended

    run(test())


def test_an_absence_is_held_back_from_silence_and_has_a_bound() -> None:
    async def test() -> None:
        inbox = Inbox()
        sessions = Sessions(State("log"), inbox, 0.0)
        there, gone = sessions.open(hello("n1")), sessions.open(hello("n2"))
        await inbox.take(1.0)
        sessions.leave(gone, 60.0)
        watching = asyncio.create_task(sessions.watch())
        with pytest.raises(CallError, match="n1"):
            await said(there)
        (entry,) = await inbox.take(1.0)
        assert isinstance(entry.input, NodeSilent)
        assert entry.input.node == "n1"
        watching.cancel()
        sessions.leave(sessions.open(hello("n3")), 1e9)
        assert sessions._watch._away_until_s["n3"] < time.monotonic() + 601.0

    run(test())


def test_a_session_that_the_core_failed_on_is_ended_with_the_reason() -> None:
    async def test() -> None:
        inbox = Inbox()
        session = Sessions(State("log"), inbox, 5.0).open(hello())
        (entry,) = await inbox.take(1.0)
        assert entry.settle is not None
        entry.settle(CallError(Reason.INTERNAL, "it failed"))
        with pytest.raises(CallError, match="it failed"):
            await said(session)

    run(test())


def test_a_silent_node_s_session_is_ended() -> None:
    async def test() -> None:
        inbox = Inbox()
        sessions = Sessions(State("log"), inbox, 0.0)
        session = sessions.open(hello())
        await inbox.take(1.0)
        watching = asyncio.create_task(sessions.watch())
        with pytest.raises(CallError, match="say hello again"):
            await said(session)
        (entry,) = await inbox.take(1.0)
        assert type(entry.input).__name__ == "NodeSilent"
        watching.cancel()

    run(test())


def test_the_first_step_and_the_last_that_is_done_again_are_news_and_others_are_not() -> None:
    async def test() -> None:
        state, inbox = State("log"), Inbox()
        sessions = Sessions(state, inbox, 5.0)
        key = GangKey(1, "trainer", 0)
        gang = GangRecord(key=key, state=GangState.RUNNING, reason="", since=0.0, round=2, redo_to=40)

        async def news(*steps: int) -> list[int]:
            for step in steps:
                sessions.steps.take("n1", Progress(round=key.at(2), step=step, at=1.0))
            return [
                entry.input.progress.step for entry in await inbox.take(0.0) if isinstance(entry.input, GangStepped)
            ]

        state.put(state.gangs, key, gang)
        assert await news(31) == [31]
        state.put(state.gangs, key, replace(gang, step=31))
        assert await news(32, 39, 40) == [40]
        state.put(state.gangs, key, replace(gang, step=31, redo_to=-1))
        assert await news(41, 99) == []

    run(test())
