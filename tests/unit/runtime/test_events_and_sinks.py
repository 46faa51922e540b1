"""Events out of the log: filtered, the newest first found, followed, and brought to sinks at least once."""

import asyncio
import json
from collections.abc import Coroutine, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dlroverd.core.state import State
from dlroverd.model.view import EventView
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import EventFilter, read_events
from dlroverd.runtime.journal import Journal, replay
from dlroverd.runtime.sinks import Feed
from dlroverd.store.interface import Snapshot
from dlroverd.store.sqlite import SqliteStore
from tests.unit.runtime.test_journal import live

SINK = "events"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "state", reserve_bytes=64 * 1024)) as opened:
        for record in live(State(opened.log_id)):
            opened.append([record])
        yield opened


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(bounded())


def journal(store: SqliteStore) -> Journal:
    return Journal(store, snapshot_every=1000, keep_records=1000, readers=[SINK])


def found(store: SqliteStore, wanted: EventFilter) -> list[EventView]:
    async def read() -> list[EventView]:
        return [view async for view in read_events(journal(store), Changes(), wanted, known(store))]

    return asyncio.run(read())


def known(store: SqliteStore) -> Known:
    return Known(store.log_id, replay(store).nodes)


def test_all_events_in_order_with_their_bodies(store: SqliteStore) -> None:
    views = found(store, EventFilter())
    places = [(view.position, view.index) for view in views]
    assert places == sorted(places)
    assert len(set(places)) == len(places)
    assert views[0].name == "node_joined"
    assert json.loads(views[0].body)["node"] == views[0].node == "n1"


def test_filters(store: SqliteStore) -> None:
    views = found(store, EventFilter())
    assert found(store, EventFilter(after=5)) == [view for view in views if view.position > 5]
    assert found(store, EventFilter(since=110.0)) == [view for view in views if view.time >= 110.0]
    assert found(store, EventFilter(node="n2")) == [view for view in views if view.node == "n2"]
    names = frozenset({"job_moved", "world_formed"})
    assert found(store, EventFilter(names=names)) == [view for view in views if view.name in names]
    of_job_2 = found(store, EventFilter(job=2))
    assert {"job_submitted", "world_formed", "ranks_seen"} <= {view.name for view in of_job_2}
    assert {view.job for view in of_job_2 if view.name != "ranks_seen"} == {2}
    begun = found(store, EventFilter(names=frozenset({"job_*", "world_formed"}), kind="begin"))
    assert {view.name for view in begun} == {"job_submitted", "world_formed"}
    bad = found(store, EventFilter(severity="warning"))
    assert bad == [view for view in views if view.severity in ("warning", "error", "critical")]
    assert {view.severity for view in bad} >= {"warning", "error"}


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (EventFilter(names=frozenset({"JobMoved"})), "No event is named 'JobMoved'; did you mean job_moved?"),
        (EventFilter(names=frozenset({"trainer.sve"})), "did you mean trainer.save?"),
        (EventFilter(names=frozenset({"qqqq*"})), "No event is named 'qqqq\\*'; docs/events.md lists them"),
        (EventFilter(names=frozenset({"event_forwarded"})), "No event is named 'event_forwarded'"),
        (
            EventFilter(severity="bad"),
            "No event has the severity 'bad'; there are debug, info, warning, error, critical.",
        ),
        (EventFilter(kind="span"), "No event has the kind 'span'; there are instant, begin, end, gauge."),
        (EventFilter(start="soon"), "start from a position of the log, oldest or now, not from 'soon'"),
        (EventFilter(start="99"), r"newest record is at position \d+, so there is nothing from 99 on"),
        (EventFilter(start="2"), "Records before position 4 are not kept any more: ask from 4 on, or from oldest"),
    ],
)
def test_what_is_not_there_is_refused_in_a_sentence(store: SqliteStore, wanted: EventFilter, sentence: str) -> None:
    store.write_snapshot(Snapshot(10, codec.encode_tables(codec.tables_of(replay(store)))))
    store.prune(3)
    with pytest.raises(CallError, match=sentence) as refused:
        found(store, wanted)
    assert refused.value.reason is Reason.INVALID


def test_where_to_start(store: SqliteStore) -> None:
    views = found(store, EventFilter())
    assert found(store, EventFilter(start="oldest")) == views
    assert found(store, EventFilter(start="7")) == [view for view in views if view.position >= 7]
    assert found(store, EventFilter(start="7", limit=2)) == views[-2:]
    assert found(store, EventFilter(start="now")) == found(store, EventFilter(start="now", limit=5)) == []
    assert found(store, EventFilter(start=str(store.last_position() + 1))) == []
    assert found(store, EventFilter(names=frozenset({"trainer.*", "user.mine", "agent.*"}))) == []


@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_the_newest(store: SqliteStore, limit: int) -> None:
    views = found(store, EventFilter())
    assert found(store, EventFilter(limit=limit)) == views[-limit:]
    moved = [view for view in views if view.name == "job_moved"]
    assert found(store, EventFilter(limit=limit, names=frozenset({"job_moved"}))) == moved[-limit:]


def test_following_gives_what_comes(tmp_path: Path) -> None:
    async def test() -> None:
        with closing(SqliteStore(tmp_path / "fresh", reserve_bytes=64 * 1024)) as store:
            log, changes = journal(store), Changes()
            following = read_events(log, changes, EventFilter(follow=True), known(store))
            for record in live(State(store.log_id)):
                expected = asyncio.ensure_future(anext(following))
                await asyncio.sleep(0)
                await log.append([record])
                changes.publish([])
                assert (await expected).position == record.position
                for _ in range(len(json.loads(record.events)) - 1):
                    assert (await anext(following)).position == record.position

    run(test())


def test_a_sink_gets_everything_once_while_all_goes_well(store: SqliteStore, tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"

    async def test() -> None:
        host = PluginHost([PluginConfig(name=SINK, plugin="file", settings={"path": str(path)})])
        await host.start()
        await host.settled()
        log = journal(store)
        feed = asyncio.create_task(Feed(SINK, log, Changes(), host, known(store)).run())
        while await log.cursor(SINK) < store.last_position():  # noqa: ASYNC110 - the log tells nobody of a cursor
            await asyncio.sleep(0.01)
        feed.cancel()
        await host.close()

    run(test())
    written = [json.loads(line) for line in path.read_text().splitlines()]
    views = found(store, EventFilter())
    assert [(line["position"], line["index"]) for line in written] == [(v.position, v.index) for v in views]


def test_a_sink_that_fails_keeps_its_place(store: SqliteStore) -> None:
    async def test() -> None:
        host = PluginHost([])
        log = journal(store)
        feed = asyncio.create_task(Feed("missing", log, Changes(), host, known(store)).run())
        done, _ = await asyncio.wait({feed}, timeout=0.5)
        assert not done
        assert await log.cursor("missing") == 0
        feed.cancel()

    run(test())
