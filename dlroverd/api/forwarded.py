"""Batches of events on their way in: what they must be like, and how many enter a turn."""

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable

from dlroverd.model.input import EventsForwarded
from dlroverd.model.spooled import EventBatch, SpooledEvent
from dlroverd.protocol.errors import CallError, Reason

MOST_EVENTS = 500
# What comes in so long becomes one record. The log keeps so many records: thousands of nodes that say a little all the
# time must not push out what else is in it.
_GATHER_S = 0.2
_MOST_BODY_BYTES = 256 * 1024
# The core's own events have no dot in their names: nobody else can say them.
_NAME = re.compile(r"(agent|trainer|user)(\.[A-Za-z0-9_-]+)+", re.ASCII)


class Forwarding:
    """Lets batches into the daemon's turns in groups, of all nodes in the order in which they came.

    No more than `MOST_EVENTS` enter a turn, so that no flood delays one by more than about a hundredth of a second.
    """

    def __init__(self, ask: Callable[[EventsForwarded], Awaitable[object]]) -> None:
        """`ask` has an input taken and made durable; CallError if it is not."""
        self._ask = ask
        self._waiting: deque[tuple[int, asyncio.Event]] = deque()
        self._admitted = 0
        self._timer: asyncio.TimerHandle | None = None

    async def take(self, batch: EventBatch) -> None:
        """Wait until a batch's events are durable; CallError if they cannot be taken."""
        entry = len(batch.events), asyncio.Event()
        self._waiting.append(entry)
        self._look()
        try:
            await entry[1].wait()
            await self._ask(EventsForwarded(batch=batch))
        finally:
            if entry[1].is_set():
                self._admitted -= 1
            else:
                self._waiting.remove(entry)
            self._look()

    def _look(self) -> None:
        """Let a group in when the last one is done, and there is a full one, or one that waited long enough."""
        if self._admitted or not self._waiting:
            return
        if sum(events for events, _ in self._waiting) >= MOST_EVENTS:
            self._admit()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self._waited)

    def _waited(self) -> None:
        self._timer = None
        if not self._admitted:
            self._admit()

    def _admit(self) -> None:
        room = MOST_EVENTS
        while self._waiting and self._waiting[0][0] <= room:
            events, admitted = self._waiting.popleft()
            room -= events
            self._admitted += 1
            admitted.set()


def check_batch(batch: EventBatch) -> None:
    """Raise CallError unless a batch has 1 to `MOST_EVENTS` events, in order, each fit for the log."""
    if not 1 <= len(batch.events) <= MOST_EVENTS or not 1 <= len(batch.spool) <= 64:
        raise _broken(batch, f"has {len(batch.events)} events of spool {batch.spool!r:.80}")
    last = 0
    for event in batch.events:
        if event.sequence <= last:
            raise _broken(batch, f"has event {event.sequence} after {last}")
        last = event.sequence
        if problem := _problem(event):
            raise _broken(batch, f"has event {event.sequence}, {problem}")


def _problem(event: SpooledEvent) -> str:
    """Say what is wrong with an event; "" if nothing is."""
    if len(event.name) > 128 or not _NAME.fullmatch(event.name):
        return f"whose name {event.name!r:.80} is none that an agent may send"
    if len(event.body) > _MOST_BODY_BYTES:
        return f"whose body has {len(event.body)} characters"
    try:
        body = json.loads(event.body)
    except (ValueError, RecursionError):
        body = None
    return "" if isinstance(body, dict) else "whose body is no JSON object"


def _broken(batch: EventBatch, what: str) -> CallError:
    return CallError(Reason.INVALID, f"A batch of node {batch.node:.253} {what}: upgrade its dlroverd-agent.")
