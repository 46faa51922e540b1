"""The turns: take what waits, let the core decide, make it durable, and only then let anything out.

Owns the order of these; nothing else may change the state. Must not look into what the core decides.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from dlroverd.core.desired import desired
from dlroverd.core.handle import Decision, handle
from dlroverd.core.invariants import check_touched
from dlroverd.core.state import State
from dlroverd.core.turn import Outcome
from dlroverd.model import input as inp
from dlroverd.model.event import Event
from dlroverd.model.limits import Limits
from dlroverd.model.world import Desired
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.inbox import Entry, Inbox
from dlroverd.runtime.journal import Journal
from dlroverd.runtime.meters import Meters
from dlroverd.store.interface import Record, StoreFull

T = TypeVar("T")

# The loop comes round this often with nothing to do, so that whoever watches it sees it alive.
IDLE_S = 1.0
_FULL_RETRY_S = 0.5
_RESERVE_RETRY_S = 3.0
_LOG = structlog.get_logger("dlroverd.loop")


@dataclass(slots=True)
class Batch:
    """What one turn came to, held back until it is durable. `desired` is as of its last record."""

    decisions: list[Decision] = field(default_factory=list)
    answers: list[tuple[Entry, Outcome | CallError]] = field(default_factory=list)
    desired: list[tuple[str, Desired]] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        """All events in order."""
        return [event for decision in self.decisions for event in decision.events]

    @property
    def records(self) -> list[Record]:
        """What is to be written."""
        return [
            Record(
                decision.position,
                decision.now,
                codec.INPUTS.encode(decision.inputs),
                codec.EVENTS.encode(decision.events),
            )
            for decision in self.decisions
            if decision.events
        ]


class Loop:
    """Turns, one after the other."""

    def __init__(
        self,
        *,
        state: State,
        journal: Journal,
        inbox: Inbox,
        clock: Clock,
        limits: Limits,
        release: Callable[[Batch], None],
        turned: Callable[[], None],
        meters: Meters,
    ) -> None:
        """`release` lets a durable batch out; `turned` is called after each turn, and when there is none to do."""
        self.limits = limits
        self._state = state
        self._journal = journal
        self._inbox = inbox
        self._clock = clock
        self._release = release
        self._turned = turned
        self._meters = meters
        self._stopping = False
        self._failed = False
        self._durable = asyncio.Condition()

    async def run(self) -> None:
        """Turn until `stop`; StoreNotWritable when the disk fails."""
        while not self._stopping:
            entries = await self._inbox.take(self._wait_s())
            began_s = time.perf_counter()
            batch = self._decide(entries)
            records = batch.records
            if records and not await self._make_durable(records):
                return
            self._release(batch)
            if records:
                self._meters.turn(time.perf_counter() - began_s)
            self._note_space()
            await self._tell_lookers()
            self._turned()

    def stop(self) -> None:
        """Finish the turn at hand, and take no other."""
        self._stopping = True
        self._inbox.close()

    async def look(self, at: Callable[[State], T]) -> T:
        """Give what `at` makes of the state, once all that it could have seen is durable.

        Raises:
            CallError: the log's disk is full, so that might take for ever.
        """
        seen, position = at(self._state), self._state.m.position
        async with self._durable:
            while self._journal.position < position:
                if self._journal.full:
                    raise CallError(Reason.STORAGE_LOW, f"{self._journal.full}.")
                await self._durable.wait()
        return seen

    async def keep_reserve(self) -> None:
        """Make the log's reserve whole again whenever there is space; runs for ever."""
        while True:
            await asyncio.sleep(_RESERVE_RETRY_S)
            if self._journal.low:
                await self._journal.restore_reserve()
                self._note_space()

    async def _make_durable(self, records: list[Record]) -> bool:
        """Write, and while the disk is full write again, letting nothing out; False if it was full up to `stop`."""
        while True:
            try:
                await self._journal.append(records)
                return True
            except StoreFull:
                if self._stopping:
                    return False
            await self._tell_lookers()
            self._turned()
            await asyncio.sleep(_FULL_RETRY_S)

    async def _tell_lookers(self) -> None:
        async with self._durable:
            self._durable.notify_all()

    def _note_space(self) -> None:
        if self._journal.low != self._state.m.storage_low:
            self._inbox.put(Entry(inp.StorageChanged(low=self._journal.low)))

    def _wait_s(self) -> float:
        due = self._state.next_deadline()
        if due is None or self._failed:  # what failed on its own would at once fail again
            return IDLE_S
        return min(IDLE_S, max(0.0, due - self._clock.now()))

    def _decide(self, entries: Sequence[Entry]) -> Batch:
        batch = Batch()
        self._failed = False
        try:
            self._turn(entries, batch)
        except Exception:  # noqa: BLE001 - a fault of the core must not take the fleet's daemon down
            _LOG.exception("a turn failed; its inputs are tried one by one", inputs=len(entries))
            self._failed = True
            for entry in entries:
                self._turn_alone(entry, batch)
        self._check(batch)
        dirty = {node for decision in batch.decisions for node in decision.dirty_nodes}
        batch.desired = [(node, desired(self._state, node)) for node in sorted(dirty)]
        return batch

    def _turn(self, entries: Sequence[Entry], batch: Batch) -> None:
        decision = handle(self._state, [entry.input for entry in entries], self._clock.now(), self.limits)
        batch.decisions.append(decision)
        batch.answers.extend(zip(entries, decision.outcomes, strict=True))

    def _turn_alone(self, entry: Entry, batch: Batch) -> None:
        """Take one input; one that the core fails on is refused, and the rest goes on."""
        try:
            self._turn([entry], batch)
        except Exception:  # noqa: BLE001 - see _decide
            what = type(entry.input).__name__
            _LOG.exception("the core failed on an input, which is refused", input=what)
            sentence = f"The daemon failed on this request ({what}); its log says more. Please report it."
            batch.answers.append((entry, CallError(Reason.INTERNAL, sentence)))

    def _check(self, batch: Batch) -> None:
        """Say in the log which promises of the core are broken, so that it is reported before it does harm."""
        try:
            broken = check_touched(self._state, batch.events)
        except Exception:  # noqa: BLE001 - what was decided stands, whether or not it could be checked
            _LOG.exception("the promises of the core could not be checked")
            return
        for what in broken:
            _LOG.error("a promise of the core is broken; please report it", what=what, position=self._state.m.position)
