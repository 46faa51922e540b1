"""Events as clients and sinks see them, and which jobs and node an event is about."""

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

from dlroverd.model import event as ev
from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.view import EventView
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.journal import Journal
from dlroverd.store.interface import Record

# What is read at once. Decoding it is done record by record, with the loop's other work in between.
_PAGE_RECORDS = 100


def jobs_of(event: ev.Event) -> frozenset[int]:
    """Tell which jobs an event changes or tells of."""
    match event:
        case ev.RanksSeen():
            return frozenset(seen.key.job for seen in event.ranks)
        case ev.GangStopping() | ev.StaleRanksSeen():
            return frozenset({event.tombstone.round.job})
        case ev.EventForwarded():
            return frozenset({event.event.rank.job} if event.event.rank is not None else ())
        case ev.NodeChecked():
            return frozenset({event.check.round.job})
        case ev.OrphansSeen():
            return frozenset(key.job for key in event.orphans)
        case _:
            where = getattr(event, "round", None) or getattr(event, "gang", None)
            job = where.job if isinstance(where, RoundKey | GangKey) else getattr(event, "job", 0)
            return frozenset({job} if job else ())


def views_of(record: Record) -> Iterator[tuple[EventView, frozenset[int]]]:
    """Give a record's events, each with all the jobs that it is about (its view names one of them)."""
    for index, event in enumerate(codec.EVENTS.decode(record.events)):
        jobs = jobs_of(event)
        view = EventView(
            position=record.position,
            index=index,
            time=record.now,
            name=codec.name_of(type(event)),
            job=min(jobs, default=0),
            node=getattr(event, "node", ""),
            body=codec.EVENTS.body(event),
        )
        yield (_said(view, event) if isinstance(event, ev.EventForwarded) else view), jobs


def _said(view: EventView, forwarded: ev.EventForwarded) -> EventView:
    """Show what a rank or an agent said under the name, and at the time, that it gave itself."""
    event, rank = forwarded.event, forwarded.event.rank
    view = replace(view, name=event.name, version=event.version, severity=event.severity, kind=event.kind)
    view = replace(view, time=event.time, monotonic=event.monotonic, boot_id=forwarded.boot_id, body=event.body)
    view = replace(view, unit=event.unit, pid=event.pid, span=event.span, parent=event.parent)
    if rank is None:
        return view
    return replace(view, role=rank.role, gang=rank.gang, round=rank.round, rank=rank.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; what is None or empty means all. `limit` 0 means none, else the newest so many."""

    after: int = 0
    job: int | None = None
    node: str | None = None
    names: frozenset[str] = frozenset()
    since: float | None = None
    limit: int = 0
    follow: bool = False

    def takes(self, view: EventView, jobs: frozenset[int]) -> bool:
        """Tell whether an event is wanted."""
        return (
            (self.job is None or self.job in jobs)
            and (self.node is None or self.node == view.node)
            and (not self.names or view.name in self.names)
            and (self.since is None or view.time >= self.since)
        )


async def read_events(journal: Journal, changes: Changes, wanted: EventFilter) -> AsyncIterator[EventView]:
    """Give the wanted events of the log, oldest first, then those that come if they are to be followed.

    CallError if an event is asked for by a name that none has.
    """
    for name in sorted(wanted.names - codec.EVENTS.names):
        near = difflib.get_close_matches(codec.name_of_words(name), codec.EVENTS.names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(codec.EVENTS.names))}."
        raise CallError(Reason.INVALID, f"No event is named {name!r:.80}; {hint}")
    with changes.follow() as wake:
        after = wanted.after
        if wanted.limit:
            newest, after = await _newest(journal, wanted)
            for view in newest:
                yield view
        while True:
            wake.clear()
            while records := await journal.read(after, _PAGE_RECORDS):
                after = records[-1].position
                for record in records:
                    for view in _wanted(record, wanted):
                        yield view
                    await asyncio.sleep(0)  # a record may hold hundreds of events
            if not wanted.follow:
                return
            await wake.wait()


async def _newest(journal: Journal, wanted: EventFilter) -> tuple[list[EventView], int]:
    """Give the newest `limit` wanted events, in order, and the position up to which they were looked for."""
    last = end = journal.position
    oldest = max(await journal.oldest_position() - 1, wanted.after)
    found: list[EventView] = []  # the newest first
    while end > oldest and len(found) < wanted.limit:
        begin = max(oldest, end - _PAGE_RECORDS)
        for record in reversed(await journal.read(begin, end - begin)):
            found.extend(reversed(_wanted(record, wanted)))
            if len(found) >= wanted.limit:
                break
            await asyncio.sleep(0)
        end = begin
    return found[: wanted.limit][::-1], last


def _wanted(record: Record, wanted: EventFilter) -> list[EventView]:
    return [view for view, jobs in views_of(record) if wanted.takes(view, jobs)]
