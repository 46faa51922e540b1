"""The log gives the state back: by all of its events, and by a snapshot and those after it."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dlroverd.core.handle import handle
from dlroverd.core.state import State
from dlroverd.model.limits import Limits
from dlroverd.runtime import codec
from dlroverd.runtime.journal import Journal, replay
from dlroverd.store.interface import Record
from dlroverd.store.sqlite import SqliteStore
from tests.unit.runtime.fleet import story

RESERVE_BYTES = 64 * 1024


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "state", reserve_bytes=RESERVE_BYTES)) as opened:
        yield opened


def text_of(state: State) -> str:
    return codec.encode_tables(codec.tables_of(state))


def live(state: State) -> Iterator[Record]:
    """Run the story, and give a record of each turn."""
    for now, item in enumerate(story(state), 100):
        decision = handle(state, [item], now, Limits())
        if decision.events:
            events, inputs = codec.EVENTS.encode(decision.events), codec.INPUTS.encode(decision.inputs)
            yield Record(decision.position, decision.now, inputs, events)


def test_all_events_give_the_state(store: SqliteStore) -> None:
    state = State(store.log_id)
    for record in live(state):
        store.append([record])
        assert text_of(replay(store)) == text_of(state)
    assert state.m.position > 10
    assert state.incidents


def test_a_snapshot_and_the_events_after_it_give_the_state(store: SqliteStore) -> None:
    async def test() -> State:
        journal = Journal(store, snapshot_every=4, keep_records=2, readers=[])
        state = State(store.log_id)
        for record in live(state):
            await journal.append([record])
            if journal.snapshot_due():
                await journal.snapshot(state.m.position, codec.tables_of(state))
        return state

    state = asyncio.run(test())
    snapshot = store.latest_snapshot()
    assert snapshot is not None
    assert snapshot.position + 4 > state.m.position >= snapshot.position
    assert store.oldest_position() == snapshot.position - 2 + 1
    restored = replay(store)
    assert text_of(restored) == text_of(state)
    assert restored.next_deadline() == state.next_deadline()
    assert restored.waiting == state.waiting
    assert restored.used == state.used


def test_records_that_a_sink_has_not_taken_are_kept(store: SqliteStore) -> None:
    async def test() -> None:
        journal = Journal(store, snapshot_every=4, keep_records=0, readers=["slow", "quick"])
        state = State(store.log_id)
        for record in live(state):
            await journal.append([record])
        await journal.advance_cursor("quick", state.m.position)
        await journal.advance_cursor("slow", 3)
        await journal.snapshot(state.m.position, codec.tables_of(state))
        assert await journal.oldest_position() == journal.oldest == 4

    asyncio.run(test())


def test_a_sink_that_takes_nothing_keeps_the_log_from_growing_without_end(
    store: SqliteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    async def test() -> None:
        journal = Journal(store, snapshot_every=4, keep_records=0, readers=["slow"], keep_for_sinks=10)
        state = State(store.log_id)
        for record in live(state):
            await journal.append([record])
            if journal.position == 10:
                await journal.snapshot(state.m.position, codec.tables_of(state))
                assert (journal.oldest, journal.room_of(0)) == (1, 0)
        await journal.snapshot(state.m.position, codec.tables_of(state))
        assert journal.oldest == state.m.position - 10 + 1 > 1
        assert journal.room_of(state.m.position - 3) == 7

    asyncio.run(test())
    assert "a sink is so far behind that it loses events soon" in capsys.readouterr().out
