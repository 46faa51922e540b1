"""The daemon's disk: the log of turns, and a snapshot now and then. What is on it survives a crash.

`exact` writes every record, and each snapshot, with the real codec, and reads them back through it. That costs more
than the turns themselves, so long lives sample it: one record in `_SAMPLE` is written, and snapshots stay tables.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlroverd.core.apply import apply, begin_turn
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.runtime import codec
from dlroverd.testing.simulator.checks import Violation

_SAMPLE = 64

Tables = Mapping[str, Mapping[Any, Any]]


@dataclass(frozen=True, slots=True)
class Record:
    """One turn in the log."""

    position: int
    now: float
    inputs: tuple[inp.Input, ...]
    events: tuple[ev.Event, ...]


class Disk:
    """What is durable. `tail` holds the records since the snapshot before the last one's."""

    def __init__(self, log_id: str, *, exact: bool, snapshot_every: int) -> None:
        """Begin empty; a snapshot is taken each `snapshot_every` positions."""
        self._log_id = log_id
        self._exact = exact
        self._snapshot_every = snapshot_every
        self._snapshot: tuple[int, Tables | str] | None = None
        self._digest = hashlib.sha256()
        self.tail: list[Record] = []
        self.position = 0
        self.events = 0

    @property
    def digest(self) -> str:
        """A digest of the whole log; of a long one, its order and times, and a sample of its records."""
        return self._digest.hexdigest()[:16]

    def append(self, record: Record, state: State) -> None:
        """Make a record durable; `state` is what follows from it."""
        self.tail.append(record)
        self.position = record.position
        self.events += len(record.events)
        self._digest.update(f"{record.position} {record.now!r} {len(record.events)}\n".encode())
        if self._exact or record.position % _SAMPLE == 0:
            text = codec.EVENTS.encode(record.events)
            self._digest.update(f"{codec.INPUTS.encode(record.inputs)} {text}\n".encode())
            if not self._exact and codec.EVENTS.decode(text) != record.events:
                raise Violation("log_is_read_as_written", text)
        if record.position % self._snapshot_every == 0:
            tables = codec.tables_of(state)
            self._snapshot = (record.position, codec.encode_tables(tables) if self._exact else tables)
            if not self._exact:
                self.tail.clear()

    def replay(self, *, from_snapshot: bool) -> State:
        """Give the state that the disk holds; a long life has no log from its beginning."""
        state = State(self._log_id)
        if self._snapshot is not None and (from_snapshot or not self._exact):
            state = _state(self._snapshot[1], self._log_id)
        for record in self.tail:
            if record.position > state.m.position:
                begin_turn(state, record.position, record.now)
                for event in record.events:
                    apply(state, event)
        return state

    def compare(self, live: State, replayed: State) -> None:
        """What the log gives after a crash is what the daemon had: to the byte, if every record is written."""
        tables = codec.tables_of(live), codec.tables_of(replayed)
        for name in State.TABLES:
            if tables[0][name] != tables[1][name]:
                raise Violation("replay_equals_live", f"{name} at position {live.m.position}")
        if self._exact and codec.encode_tables(tables[0]) != codec.encode_tables(tables[1]):
            raise Violation("replay_equals_live", f"the bytes at position {live.m.position}")


def _state(snapshot: Tables | str, log_id: str) -> State:
    if isinstance(snapshot, str):
        return codec.decode_state(snapshot, log_id)
    state = State(log_id)
    for name, table in snapshot.items():
        for key, record in table.items():
            state.put(getattr(state, name), key, record)
    return state
