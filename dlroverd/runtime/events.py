"""Events as clients and sinks see them: found, filtered and followed; and which jobs an event is about."""

import asyncio
import difflib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, get_args

from dlroverd.model import event as ev
from dlroverd.model.globs import whole
from dlroverd.model.spooled import SEVERITY_RANKS, EventKind, Severity
from dlroverd.model.view import EventView
from dlroverd.model.vocabulary import NAMES, SCHEMAS, may_name
from dlroverd.model.vocabulary.naming import name_of, name_of_words
from dlroverd.model.vocabulary.schema import Schema
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.envelopes import Known, Page
from dlroverd.runtime.journal import Journal
from dlroverd.store.interface import Record

# What is read at once. Decoding it is done record by record, with the loop's other work in between.
_PAGE_RECORDS = 100
_SCHEMAS: Final[dict[type, Schema]] = {cls: SCHEMAS[name_of(cls)] for cls in get_args(ev.Event)}


def jobs_of(event: ev.Event) -> frozenset[int]:
    """Tell which jobs an event changes or tells of."""
    return _SCHEMAS[type(event)].jobs(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Which events are wanted; what is None or empty means all. `limit` 0 means none, else the newest so many.

    `start` is oldest, now, or the position of the first record to be looked at, which must still be there; "" is that
    behind `after`. `*` in a name is any text. `severity`: that or worse.
    """

    after: int = 0
    start: str = ""
    job: int | None = None
    node: str | None = None
    names: frozenset[str] = frozenset()
    severity: str = ""
    kind: str = ""
    since: float | None = None
    limit: int = 0
    follow: bool = False

    def takes(self, view: EventView, jobs: frozenset[int]) -> bool:
        """Tell whether an event is wanted."""
        return (
            (self.job is None or self.job in jobs)
            and (self.node is None or self.node == view.node)
            and (not self.names or any(whole(each, view.name) for each in self.names))
            and (not self.severity or SEVERITY_RANKS[view.severity] >= SEVERITY_RANKS[self.severity])
            and (not self.kind or self.kind == view.kind)
            and (self.since is None or view.time >= self.since)
        )


def views_of(record: Record, known: Known) -> Iterator[tuple[EventView, frozenset[int]]]:
    """Give a record's events, each with all the jobs that it is about (its view names one of them)."""
    page = Page(record, known)
    for index, (name, body, text) in enumerate(codec.EVENTS.bodies(record.events)):
        yield page.view(index, name, body, text)


async def read_events(
    journal: Journal, changes: Changes, wanted: EventFilter, known: Known
) -> AsyncIterator[EventView]:
    """Give the wanted events of the log, oldest first, then those that come if they are to be followed.

    CallError if a name, a severity or a kind is asked for that none has, or a start that is not there.
    """
    _check(wanted)
    with changes.follow() as wake:
        after = await _behind(journal, wanted)
        if wanted.limit:
            newest, after = await _newest(journal, wanted, after, known)
            for view in newest:
                yield view
        while True:
            wake.clear()
            while records := await journal.read(after, _PAGE_RECORDS):
                after = records[-1].position
                for record in records:
                    for view in _wanted(record, wanted, known):
                        yield view
                    await asyncio.sleep(0)  # a record may hold hundreds of events
            if not wanted.follow:
                return
            await wake.wait()


def _check(wanted: EventFilter) -> None:
    for name in sorted(wanted.names):
        if not may_name(name):
            near = difflib.get_close_matches(name_of_words(name), NAMES, n=1)
            hint = (
                f"did you mean {near[0]}?" if near else "docs/events.md lists them; `trainer.*` is all that begin so."
            )
            raise CallError(Reason.INVALID, f"No event is named {name!r:.80}; {hint}")
    for what, word, words in (("severity", wanted.severity, Severity), ("kind", wanted.kind, EventKind)):
        if word and word not in tuple(words):
            raise CallError(Reason.INVALID, f"No event has the {what} {word!r:.80}; there are {', '.join(words)}.")


async def _behind(journal: Journal, wanted: EventFilter) -> int:
    """Give the position behind which events are wanted."""
    if not wanted.start or wanted.start == "oldest":
        return wanted.after
    newest, oldest = journal.position, await journal.oldest_position()
    if wanted.start == "now":
        return newest
    if not wanted.start.isdecimal():
        raise CallError(
            Reason.INVALID, f"Events start from a position of the log, oldest or now, not from {wanted.start!r:.80}."
        )
    first = int(wanted.start)
    if first > newest + 1:
        raise CallError(
            Reason.INVALID, f"The log's newest record is at position {newest}, so there is nothing from {first} on."
        )
    if first < oldest:
        raise CallError(
            Reason.INVALID,
            f"Records before position {oldest} are not kept any more: ask from {oldest} on, or from oldest.",
        )
    return first - 1


async def _newest(journal: Journal, wanted: EventFilter, after: int, known: Known) -> tuple[list[EventView], int]:
    """Give the newest `limit` wanted events behind `after`, in order, and up to which position was looked."""
    last = end = journal.position
    oldest = max(await journal.oldest_position() - 1, after)
    found: list[EventView] = []  # the newest first
    while end > oldest and len(found) < wanted.limit:
        begin = max(oldest, end - _PAGE_RECORDS)
        for record in reversed(await journal.read(begin, end - begin)):
            found.extend(reversed(_wanted(record, wanted, known)))
            if len(found) >= wanted.limit:
                break
            await asyncio.sleep(0)
        end = begin
    return found[: wanted.limit][::-1], max(last, after)


def _wanted(record: Record, wanted: EventFilter, known: Known) -> list[EventView]:
    return [view for view, jobs in views_of(record, known) if wanted.takes(view, jobs)]
