"""Events brought to sinks, real plugins in processes of their own: each at least once, whatever a plugin does."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dlroverd.core.state import State
from dlroverd.model.view import EventView, SinkView
from dlroverd.plugin_host.breaker import BreakerLimits
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import HostLimits, PluginConfig
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import views_of
from dlroverd.runtime.journal import Journal, replay
from dlroverd.runtime.redaction import Redactor
from dlroverd.runtime.routing import Route, Selection
from dlroverd.runtime.sinks import Feed, FeedLimits, SinkSettings
from dlroverd.store.interface import Record, Snapshot
from dlroverd.store.sqlite import SqliteStore
from dlroverd.testing.plant import plant
from tests.unit.runtime.test_journal import live

SOURCE = """
import json, os, signal, time
from dlroverd.plugin_api import EventsRefused, hookimpl
DLROVERD_API = 1
class Sink:
    def open(self, settings):
        self.path = settings["path"]
        self.calls = 0
    def write(self, batch):
        self.calls += 1
        with open(self.path + ".calls", "a") as file:
            print(len(batch), file=file)
        keep = lambda batch: [print(json.dumps([e.position, e.index, e.name, e.body]), file=self.file) for e in batch]
        with open(self.path, "a") as self.file:
            {body}
    def close(self): pass
@hookimpl
def dlroverd_register_sink(register): register(Sink())
"""
# Ways of a sink, each a line that keeps what it takes with keep(batch).
GOOD = "keep(batch)"
QUICK = FeedLimits(gather_s=0.01, first_retry_s=0.01, last_retry_s=0.02, away_s=0.01)


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await test

    asyncio.run(bounded())


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing tells of: what another process wrote, or a count."""
    while not condition():  # noqa: ASYNC110 - as said
        await asyncio.sleep(0.01)


@dataclass
class Stage:
    """A log of some events, a folder that plugins are imported from, and what they take."""

    root: Path
    store: SqliteStore
    known: Known

    def sink(self, name: str, body: str = GOOD, **settings: Any) -> SinkSettings:
        plant(self.root / "site", name, SOURCE.format(body=body))
        return SinkSettings(name=name, **settings)

    def views(self) -> list[EventView]:
        return [view for record in self.store.read(0, 1000) for view, _ in views_of(record, self.known)]

    def every(self) -> list[tuple[int, int]]:
        return [(view.position, view.index) for view in self.views()]

    def taken(self, name: str) -> list[tuple[int, int]]:
        return [(position, index) for position, index, _, _ in self.lines(name)]

    def lines(self, name: str) -> list[Any]:
        path = self.root / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def letters(self, name: str) -> list[Any]:
        return list(map(json.loads, (self.root / "letters" / f"{name}.jsonl").read_text().splitlines()))

    @asynccontextmanager
    async def feeding(self, *sinks: SinkSettings, limits: FeedLimits = QUICK) -> AsyncIterator["Feeding"]:
        """Run the sinks on the log."""
        configs = [PluginConfig(name=sink.name, settings={"path": str(self.root / sink.name)}) for sink in sinks]
        host = PluginHost(configs, HostLimits(breaker=BreakerLimits(failures=1000)))
        await host.start()
        journal = Journal(self.store, snapshot_every=1000, keep_records=1000, readers=[sink.name for sink in sinks])
        changes = Changes()
        feeds = [
            Feed(
                sink,
                journal,
                changes,
                host,
                self.known,
                letters=self.root / "letters",
                redactor=Redactor(),
                job_name=lambda job: f"job-{job - 1}",
                limits=limits,
            )
            for sink in sinks
        ]
        tasks = [asyncio.create_task(feed.run()) for feed in feeds]
        try:
            yield Feeding(feeds, host, journal, changes)
        finally:
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            await host.close()
        assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


@dataclass
class Feeding:
    feeds: list[Feed]
    host: PluginHost
    journal: Journal
    changes: Changes

    def view(self, at: int = 0, now: float = 0.0) -> SinkView:
        return self.feeds[at].view(now, self.host.inventory()[at])

    async def done(self, at: int = 0) -> None:
        await until(lambda: self.view(at).lag_records == 0)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    (tmp_path / "site").mkdir()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"), prepend=os.pathsep)
    with closing(SqliteStore(tmp_path / "state", reserve_bytes=64 * 1024)) as store:
        for record in live(State(store.log_id)):
            store.append([record])
        yield Stage(tmp_path, store, Known(store.log_id, replay(store).nodes))


# What a sink does, and how many events become its dead letters. The position is that of an event in the middle.
WAYS = {
    "takes all": (GOOD, 0),
    "fails six times": ("assert self.calls > 6, 'it is down'; keep(batch)", 0),
    "takes one and fails": ("keep(batch[:1]); assert self.calls > 6, 'it broke off'; keep(batch[1:])", 0),
    "dies of one event": ("any((e.position, e.index) == (9, 0) for e in batch) and os._exit(7); keep(batch)", 1),
    "refuses some": (
        """no = {(e.position, e.index): 'too odd' for e in batch if e.position % 5 == 0}
            keep([e for e in batch if (e.position, e.index) not in no])
            if no: raise EventsRefused(no)""",
        None,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_lost_and_the_order_is_kept(stage: Stage, way: str) -> None:
    body, dead = WAYS[way]
    sink = stage.sink("s", body)

    async def test() -> None:
        async with stage.feeding(sink, limits=replace(QUICK, batch_events=16, deaths=2)) as feeding:
            await feeding.done()
            view = feeding.view()
            assert await feeding.journal.cursor("s") == stage.store.last_position()
        refused = [(each["position"], each["index"]) for each in stage.letters("s")] if view.dead_letters else []
        once = list(dict.fromkeys(stage.taken("s")))
        assert once == sorted(once)
        assert sorted([*once, *refused]) == stage.every()
        assert view.delivered + view.dead_letters == len(stage.every())
        assert view.dead_letters == (len(refused) if dead is None else dead)
        if way == "refuses some":
            assert {each["why"] for each in stage.letters("s")} == {"too odd"}
            assert {position % 5 for position, _ in refused} == {0}
        if way == "dies of one event":
            assert refused[0][0] == 9
            assert "exited with status 7" in stage.letters("s")[0]["why"]
        assert (view.retries > 0) == (way not in ("takes all", "refuses some"))

    run(test())


def test_a_batch_that_fails_is_cut_until_it_goes(stage: Stage) -> None:
    sink = stage.sink("s", "assert len(batch) < 5, 'too many at once'; keep(batch)")

    async def test() -> None:
        async with stage.feeding(sink, limits=replace(QUICK, batch_events=32)) as feeding:
            await feeding.done()
        assert stage.taken("s") == stage.every()

    run(test())
    sizes = [int(line) for line in Path(f"{stage.root}/s.calls").read_text().split()]
    assert sizes[:15] == [32] * 5 + [4] * 8 + [8, 8]


def test_a_plugin_that_takes_nothing_loses_no_more_than_three_events(stage: Stage) -> None:
    sink = stage.sink("s", "os._exit(3)")

    async def test() -> None:
        async with stage.feeding(sink, limits=replace(QUICK, batch_events=1, deaths=1)) as feeding:
            await until(lambda: feeding.view().retries >= 5)
            assert feeding.view().dead_letters == 3
            assert feeding.view().cursor == stage.every()[3][0] - 1

    run(test())


def test_bad_sinks_delay_no_other(stage: Stage) -> None:
    """One hangs, one raises, one dies, two say what is no answer, one refuses what it never had; the last is good."""
    sockets = "[fd for fd in map(int, os.listdir('/proc/self/fd')) if 'socket:' in os.readlink(f'/proc/self/fd/{fd}')]"
    link = f"[os.write(fd, %s) for fd in {sockets}]"
    ways = {
        "hangs": "time.sleep(3600)",
        "raises": "raise ValueError('no idea')",
        "dies": "os._exit(7)",
        "babbles": link % "b'no answer\\n'",
        "hurries": link % 'b\'{"op":"returned","id":99}\\n\'',
        "accuses": "raise EventsRefused({(10**6, 0): 'never seen'})",
    }
    sinks = [*(stage.sink(name, body) for name, body in ways.items()), stage.sink("good")]

    async def test() -> None:
        async with stage.feeding(*sinks, limits=replace(QUICK, write_s=1.0)) as feeding:
            last = len(sinks) - 1
            await feeding.done(last)
            await until(lambda: all(feeding.view(at).retries for at in range(last)))
            said = {view.name: view.last_error for view in map(feeding.view, range(last))}
            assert "did not answer within 1 s" in said["hangs"]
            assert "no idea" in said["raises"]
            assert "refused (1000000, 0), which it was not given" in said["accuses"]
            assert all(feeding.view(at).cursor < 3 for at in range(last) if sinks[at].name != "dies")
        assert stage.taken("good") == stage.every()

    run(test())


@pytest.mark.parametrize(("start", "first"), [("oldest", 5), ("now", 0), ("7", 7), ("2", 5), ("1000000", 0)])
def test_where_a_new_sink_begins(stage: Stage, start: str, first: int) -> None:
    last = stage.store.last_position()
    stage.store.write_snapshot(Snapshot(last, ""))
    stage.store.prune(4)
    sink = stage.sink("s", start=start)

    async def test() -> None:
        async with stage.feeding(sink) as feeding:
            await feeding.done()
            assert await feeding.journal.cursor("s") == last
            assert feeding.view().lost == (3 if start == "2" else 0)
        lines = stage.lines("s")
        if start == "2":
            assert lines.pop(0)[:3] == [4, -1, "log_gap"]
        assert stage.taken("s")[start == "2" :] == [key for key in stage.every() if first and key[0] >= first]

    run(test())


def test_a_sink_behind_what_is_kept_is_told_of_the_gap(stage: Stage) -> None:
    """Also one that wants nothing of what is left."""
    last = stage.store.last_position()
    stage.store.write_snapshot(Snapshot(last, ""))
    stage.store.prune(9)
    few = Route(only=Selection(names=("job_forgotten",)))
    sinks = [stage.sink("all"), stage.sink("few", route=few)]
    for sink in sinks:
        stage.store.advance_cursor(sink.name, 3)

    async def test() -> None:
        async with stage.feeding(*sinks) as feeding:
            for at in range(2):
                await feeding.done(at)
                assert feeding.view(at).lost == 6

    run(test())
    for name in ("all", "few"):
        position, index, event, body = stage.lines(name)[0]
        assert (position, index, event) == (9, -1, "log_gap")
        assert json.loads(body) == {"from": 4, "to": 9, "count_of_records": 6}
    assert stage.taken("all")[1:] == stage.every()
    assert len(stage.lines("few")) == 1


def test_a_cursor_beyond_the_end_of_the_log_is_set_to_its_end(stage: Stage) -> None:
    """An older copy of the log was put back."""
    last = stage.store.last_position()
    stage.store._write(lambda: stage.store._writer.execute("INSERT INTO cursor (name, position) VALUES ('s', 5000)"))
    sink = stage.sink("s")

    async def test() -> None:
        async with stage.feeding(sink) as feeding:
            await until(lambda: len(stage.lines("s")) == 1)
            assert await feeding.journal.cursor("s") == last
            (template,) = stage.store.read(last - 1, 1)
            await feeding.journal.append([Record(last + 1, 1.0, "[]", template.events)])
            feeding.changes.publish([])
            await feeding.done()

    run(test())
    (gap, *rest) = stage.lines("s")
    assert gap[:3] == [last, -1, "log_gap"]
    assert json.loads(gap[3]) == {"from": last + 1, "to": 5000, "count_of_records": 5000 - last}
    assert {position for position, *_ in rest} == {last + 1}


def test_a_cursor_is_moved_back_and_ahead_once_for_each_request(stage: Stage) -> None:
    sink = stage.sink("s")
    last = stage.store.last_position()
    keys = stage.every()

    async def test() -> None:
        async with stage.feeding(sink) as feeding:
            await feeding.done()
            (feed,) = feeding.feeds
            await feed.move(9, "again")
            await until(lambda: feeding.view().lag_records == 0)
            await feed.move(9, "again")
            assert feeding.view().cursor == last
            again = [*keys, *(key for key in keys if key[0] > 9)]
            assert stage.taken("s") == again

    run(test())


def test_a_sink_that_is_stuck_can_be_moved_past_what_it_does_not_take(stage: Stage) -> None:
    sink = stage.sink("s", "assert batch[0].position > 9, 'never'; keep(batch)")

    async def test() -> None:
        async with stage.feeding(sink, limits=replace(QUICK, last_retry_s=3600.0, first_retry_s=3600.0)) as feeding:
            await until(lambda: feeding.view().retries > 0)
            assert feeding.view(now=1e9).lag_s > 0
            await feeding.feeds[0].move(9, "on")
            await feeding.done()
            assert feeding.view(now=1e9).lag_s == 0
        assert stage.taken("s") == [key for key in stage.every() if key[0] > 9]

    run(test())


def test_routes(stage: Stage) -> None:
    views = stage.views()
    routes = {
        "names": (Selection(names=("job_*", "world_formed")), Selection(names=("job_moved",))),
        "jobs": (Selection(jobs=("2", "job-0*")), Selection()),
        "loud": (Selection(severity="critical"), Selection()),
        "spans": (Selection(kinds=("begin", "end")), Selection()),
        "not_instant": (Selection(), Selection(kinds=("instant",))),
    }
    sinks = [stage.sink(name, route=Route(only=only, skip=skip)) for name, (only, skip) in routes.items()]

    async def test() -> None:
        async with stage.feeding(*sinks) as feeding:
            for at in range(len(sinks)):
                await feeding.done(at)
            # What only went by costs no sync: it may be looked at again.
            assert await feeding.journal.cursor("loud") == 0

    run(test())
    got = {name: [event for _, _, event, _ in stage.lines(name)] for name in routes}
    wanted = [
        v.name for v in views if (v.name.startswith("job_") and v.name != "job_moved") or v.name == "world_formed"
    ]
    assert got["names"] == wanted
    of_two = {view.name for view in views if view.job in (1, 2)}
    assert set(got["jobs"]) == of_two
    assert not {view.job for view in views if [view.position, view.index] in stage.lines("jobs")} - {1, 2}
    assert got["spans"] == got["not_instant"] == [view.name for view in views if view.kind != "instant"] != []
    assert got["loud"] == []


def test_a_batch_is_bounded_by_its_bytes_and_a_large_event_goes_alone(stage: Stage) -> None:
    sink = stage.sink("s")

    async def test() -> None:
        async with stage.feeding(sink, limits=replace(QUICK, batch_bytes=300)) as feeding:
            await feeding.done()
        assert stage.taken("s") == stage.every()

    run(test())
    sizes = iter(int(line) for line in Path(f"{stage.root}/s.calls").read_text().split())
    bodies = iter([len(view.body) for view in stage.views()])
    for size in sizes:
        assert size == 1 or sum(next(bodies) for _ in range(size)) <= 300 if size > 1 else next(bodies)
