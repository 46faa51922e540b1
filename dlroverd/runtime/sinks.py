"""Brings events to the sinks: each at its own pace, from its own cursor in the log, at least once.

Owns when a batch is given again, cut, or given up on (docs/sinks.md). A sink may take as long as it likes: it delays
neither the loop nor another sink.
"""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from dlroverd.model.spooled import Severity
from dlroverd.model.view import EventView, PluginView, SinkView
from dlroverd.model.vocabulary.delivery import LOG_GAP
from dlroverd.plugin_host.failures import PluginAwayError, PluginDiedError, PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.dead_letters import DeadLetters
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import views_of
from dlroverd.runtime.journal import Journal
from dlroverd.runtime.redaction import Redactor
from dlroverd.runtime.routing import Route
from dlroverd.store.interface import Record, StoreFull

# Three in a row without one that was taken, and it is the plugin that is broken, not the events.
_MOST_POISON = 3
_CUT = 8
_LOG = structlog.get_logger("dlroverd.sinks")


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """A sink: `plugin` is its entry point, `start` (oldest, now or a position) where it begins without a cursor."""

    name: str
    plugin: str = ""
    start: str = "oldest"
    route: Route = field(default_factory=Route)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedLimits:
    """How events are handed on.

    batch_events  per call to the plugin
    batch_bytes   of event bodies per call; an event that has more goes alone
    gather_s      what comes in this time goes as one batch, since each acknowledged batch costs a sync of the log
    pace_s        from one batch to the next of a sink that has all there is, for the same reason
    write_s       for one call; the plugin is killed then
    first_retry_s and last_retry_s
                  pause after a failure; it doubles from the one to the other, and varies by half
    away_s        pause while the plugin is held off or being started, which costs nothing to ask
    failures      of one batch, after which less is given at once, so that one event holds up few others
    deaths        of the plugin's process over one event alone, after which that is a dead letter
    """

    batch_events: int = 1000
    batch_bytes: int = 4 * 1024 * 1024
    gather_s: float = 0.2
    pace_s: float = 1.0
    write_s: float = 30.0
    first_retry_s: float = 0.5
    last_retry_s: float = 30.0
    away_s: float = 1.0
    failures: int = 5
    deaths: int = 3


@dataclass(frozen=True, slots=True)
class _Page:
    """Records read at once, and what the sink wants of them."""

    first: int
    last: int
    began_at: float
    views: tuple[EventView, ...]


@dataclass(frozen=True, slots=True)
class _Reading:
    """Records after a position, on their way from the disk."""

    after: int
    page: "asyncio.Future[_Page | None]"


class Feed:
    """One sink's way through the log."""

    def __init__(
        self,
        sink: SinkSettings,
        journal: Journal,
        changes: Changes,
        host: PluginHost,
        known: Known,
        *,
        letters: Path,
        redactor: Redactor,
        job_name: Callable[[int], str] = lambda _: "",
        limits: FeedLimits | None = None,
    ) -> None:
        """Feed a sink; `letters` is the folder of dead letters, `job_name` tells a job's name, from any thread."""
        self.name = sink.name
        self._sink = sink
        self._journal = journal
        self._changes = changes
        self._host = host
        self._known = known
        self._letters = DeadLetters(letters, sink.name)
        self._redactor = redactor
        self._job_name = job_name
        self._limits = limits or FeedLimits()
        self._lock = asyncio.Lock()  # of the cursor
        self._cursor = self._durable = 0
        self._moves = 0
        self._moved = asyncio.Event()
        self._oldest_at: float | None = None
        self._delivered = self._retries = self._dead = self._lost = self._poisoned = 0

    async def run(self) -> None:
        """Deliver for ever; a sink that fails gets the same events again after a while."""
        await self._begin()
        clock, delivered_at = asyncio.get_running_loop().time, float("-inf")
        with self._changes.follow() as wake:
            ahead: _Reading | None = None
            while True:
                self._moved.clear()
                moves, after = self._moves, self._cursor
                if ahead is None or ahead.after != after:
                    ahead = self._read(wake, after)
                page = await ahead.page
                if page is None:
                    ahead, self._oldest_at = None, None
                    await self._woken(wake)
                    await asyncio.sleep(max(self._limits.gather_s, delivered_at + self._limits.pace_s - clock()))
                    continue
                # The next is read while the plugin has this one.
                ahead = self._read(wake, page.last) if page.last < self._journal.position else None
                self._oldest_at = page.began_at
                views = page.views
                if page.first > after + 1:
                    views = (self._gap(after + 1, page.first - 1, page.first - 1, page.began_at), *views)
                    self._lost += page.first - 1 - after
                await self._deliver(views, moves)
                await self._advance(page.last, moves, lazily=not views)
                delivered_at = clock() if views else delivered_at

    def view(self, now: float, plugin: PluginView) -> SinkView:
        """Say how it is, at `now`."""
        newest = self._journal.position
        behind = max(0, newest - self._cursor)
        return SinkView(
            name=self.name,
            plugin=self._sink.plugin or self.name,
            health=plugin.health,
            start=self._sink.start,
            cursor=self._cursor,
            oldest=self._journal.oldest,
            newest=newest,
            lag_records=behind,
            lag_s=max(0.0, now - self._oldest_at) if behind and self._oldest_at is not None else 0.0,
            delivered=self._delivered,
            retries=self._retries,
            dead_letters=self._dead,
            room=self._journal.room_of(self._cursor),
            lost=self._lost,
            last_error=plugin.last_error,
        )

    async def move(self, position: int, request_id: str) -> None:
        """Go on after `position`, back or ahead, once for each request; StoreFull if that cannot be noted."""
        async with self._lock:
            if request_id == await self._journal.cursor_request(self.name):
                return
            await self._journal.set_cursor(self.name, position, request_id)
            self._cursor = self._durable = position
            self._moves += 1
        self._moved.set()

    def close(self) -> None:
        """Let go of files."""
        self._letters.close()

    async def _begin(self) -> None:
        """Find where to go on, or begin."""
        gap: tuple[EventView, ...] = ()
        async with self._lock:
            found = await self._journal.cursor(self.name)
            oldest, end = await self._journal.oldest_position(), self._journal.position
            if found is None:
                first = {"oldest": oldest, "now": end + 1}.get(self._sink.start) or int(self._sink.start)
            else:
                first = found + 1
            begin = min(first - 1, end)
            # At once, and before anything is delivered: were the log to grow past a cursor beyond its end, the events
            # in between would never go out.
            while found != begin:
                try:
                    await self._journal.set_cursor(self.name, begin)
                    break
                except StoreFull:
                    await asyncio.sleep(self._limits.last_retry_s)
            self._cursor = self._durable = begin
            if found is not None and found > end:
                _LOG.error(
                    "the log ends before what a sink has taken, so it is an older copy or another log; the sink goes "
                    "on from its end",
                    sink=self.name,
                    taken=found,
                    end=end,
                )
                gap = (self._gap(end + 1, found, end, time.time()),)
        await self._deliver(gap, self._moves)

    def _read(self, wake: asyncio.Event, after: int) -> _Reading:
        """Begin to read on. Cleared first: what comes while it is read wakes again."""
        wake.clear()
        most, most_bytes = self._limits.batch_events, self._limits.batch_bytes
        return _Reading(after, asyncio.ensure_future(self._journal.digest(after, most, most_bytes, self._page)))

    async def _woken(self, wake: asyncio.Event) -> None:
        """Wait until the log has more, or the cursor was moved."""
        waits = [asyncio.ensure_future(event.wait()) for event in (wake, self._moved)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def _page(self, records: Sequence[Record]) -> _Page | None:
        """Make of records what the sink gets; in the sinks' thread."""
        if not records:
            return None
        route = self._sink.route
        views = tuple(
            self._redactor.view(view)
            for record in records
            for view, jobs in views_of(record, self._known)
            if route.takes(view, jobs, self._job_name)
        )
        return _Page(records[0].position, records[-1].position, records[0].now, views)

    def _gap(self, first: int, last: int, position: int, at: float) -> EventView:
        """Say that the sink has not had records. No event of the log has index -1, so it is like none that it had."""
        body = json.dumps({"from": first, "to": last, "count_of_records": last - first + 1})
        _LOG.error("a sink does not get records that the log does not hold any more", sink=self.name, gap=body)
        return EventView(
            position=position,
            index=-1,
            time=at,
            name=LOG_GAP,
            job=0,
            node="",
            body=body,
            log_id=self._journal.log_id,
            severity=Severity.WARNING.value,
        )

    async def _deliver(self, batch: tuple[EventView, ...], moves: int) -> None:
        """Deliver events, or have them as dead letters; all of them, unless the cursor is moved meanwhile."""
        limits = self._limits
        most, failures, deaths, pause_s = limits.batch_events, 0, 0, limits.first_retry_s
        suspects = 0  # so many of the next events were in a part that was cut: less goes at once until they are through
        while batch and moves == self._moves:
            part = self._part(batch, min(most, suspects or most))
            try:
                refused = await self._host.write(self.name, part, limits.write_s)
            except PluginAwayError:
                await self._pause(limits.away_s)
                continue
            except PluginError as error:
                self._retries += 1
                failures += 1
                died = isinstance(error, PluginDiedError)
                deaths = deaths + 1 if died and len(part) == 1 else 0
                if deaths == limits.deaths and self._poisoned < _MOST_POISON:
                    self._poisoned += 1
                    await self._bury([(part[0], f"its delivery ended the plugin {deaths} times: {error}")])
                else:
                    _LOG.warning("a sink did not take events; they go again", sink=self.name, why=str(error))
                    if died or failures % limits.failures == 0:
                        suspects, most = len(part), max(1, len(part) // _CUT)
                    await self._pause(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - so that sinks do not march in step
                    pause_s = min(2 * pause_s, limits.last_retry_s)
                    continue
            else:
                if refused:
                    await self._bury(
                        [(view, why) for view in part if (why := refused.get((view.position, view.index)))]
                    )
                if len(refused) < len(part):
                    self._poisoned = 0
                self._delivered += len(part) - len(refused)
            batch = batch[len(part) :]
            suspects = max(0, suspects - len(part))
            most = most if suspects else min(2 * most, limits.batch_events)
            failures, deaths, pause_s = 0, 0, limits.first_retry_s
            if batch and batch[0].position - 1 > self._cursor:
                await self._advance(batch[0].position - 1, moves)

    def _part(self, batch: tuple[EventView, ...], most: int) -> tuple[EventView, ...]:
        """Give as much of a batch as goes at once: at least one event."""
        size = 0
        for at, view in enumerate(batch[:most]):
            size += len(view.body)
            if at and size > self._limits.batch_bytes:
                return batch[:at]
        return batch[:most]

    async def _bury(self, letters: list[tuple[EventView, str]]) -> None:
        while True:
            try:
                await asyncio.to_thread(self._letters.put, letters)
                break
            except OSError as error:
                _LOG.error("dead letters cannot be kept, so their sink waits", sink=self.name, why=str(error))
                await asyncio.sleep(self._limits.last_retry_s)
        self._dead += len(letters)
        first, why = letters[0]
        _LOG.error(
            "events can never be delivered to a sink; they are its dead letters",
            sink=self.name,
            events=len(letters),
            file=str(self._letters.path),
            first=f"{first.position}/{first.index} {first.name}",
            why=why,
        )

    async def _advance(self, position: int, moves: int, *, lazily: bool = False) -> None:
        """Note that all up to `position` is done; `lazily` where nothing was delivered: it may be read again."""
        while moves == self._moves:
            async with self._lock:
                if moves != self._moves:
                    return
                if lazily and position - self._durable < self._limits.batch_events:
                    self._cursor = position
                    return
                try:
                    await self._journal.advance_cursor(self.name, position)
                    self._cursor = self._durable = position
                    return
                except StoreFull as error:  # it was delivered: should this process end now, it goes twice
                    _LOG.warning("how far a sink is cannot be noted", sink=self.name, why=str(error))
            await self._pause(self._limits.last_retry_s)

    async def _pause(self, for_s: float) -> None:
        """Wait so long, or until the cursor is moved."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self._moved.wait()
