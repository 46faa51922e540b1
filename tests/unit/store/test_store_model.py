"""Any sequence of calls gives what a list, a snapshot and a dictionary would have given."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dlroverd.store.interface import Record, Snapshot
from dlroverd.store.sqlite import SqliteStore

TEXT = st.text(max_size=30)
NAMES = st.sampled_from(["file", "kafka"])


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def create(self) -> None:
        self.root = tempfile.TemporaryDirectory()
        self.store = SqliteStore(Path(self.root.name) / "state", reserve_bytes=4096)
        self.log_id = self.store.log_id
        self.appended: list[Record] = []
        self.dropped = 0
        self.snapshot: Snapshot | None = None
        self.cursors: dict[str, tuple[int, str]] = {}

    @rule(
        turns=st.lists(st.tuples(st.floats(allow_nan=False, allow_infinity=False), TEXT, TEXT), min_size=0, max_size=5)
    )
    def append(self, turns: list[tuple[float, str, str]]) -> None:
        batch = [Record(len(self.appended) + n, *turn) for n, turn in enumerate(turns, 1)]
        self.store.append(batch)
        self.appended += batch

    @rule(ahead=st.integers(-3, 3).filter(lambda n: n != 1))
    def append_with_a_gap(self, ahead: int) -> None:
        with pytest.raises(ValueError, match="follows"):
            self.store.append([Record(len(self.appended) + ahead, 0.0, "", "")])

    @rule(position=st.integers(-1, 60), state=TEXT)
    def write_snapshot(self, position: int, state: str) -> None:
        before = self.snapshot.position if self.snapshot else 0
        if before <= position <= len(self.appended):
            self.store.write_snapshot(Snapshot(position, state))
            self.snapshot = Snapshot(position, state)
        else:
            with pytest.raises(ValueError, match="snapshot"):
                self.store.write_snapshot(Snapshot(position, state))

    @rule(position=st.integers(-1, 60))
    def prune(self, position: int) -> None:
        end = max(self.dropped, min(position, self.snapshot.position if self.snapshot else 0))
        assert self.store.prune(position) == end - self.dropped
        self.dropped = end

    @rule(name=NAMES, position=st.integers(0, 60))
    def advance_cursor(self, name: str, position: int) -> None:
        if position <= len(self.appended):
            self.store.advance_cursor(name, position)
            last, request_id = self.cursors.get(name, (0, ""))
            self.cursors[name] = (max(position, last), request_id)
        else:
            with pytest.raises(ValueError, match="cursor"):
                self.store.advance_cursor(name, position)

    @rule(name=NAMES, position=st.integers(-1, 60), request_id=TEXT)
    def set_cursor(self, name: str, position: int, request_id: str) -> None:
        if 0 <= position <= len(self.appended):
            self.store.set_cursor(name, position, request_id)
            self.cursors[name] = (position, request_id)
        else:
            with pytest.raises(ValueError, match="cursor"):
                self.store.set_cursor(name, position)

    @rule(after=st.integers(-1, 60), limit=st.integers(0, 10))
    def read(self, after: int, limit: int) -> None:
        held = self.appended[self.dropped :]
        assert self.store.read(after, limit) == [record for record in held if record.position > after][:limit]

    @rule()
    def open_again(self) -> None:
        self.store.close()
        self.store = SqliteStore(Path(self.root.name) / "state", reserve_bytes=4096)

    @invariant()
    def agrees(self) -> None:
        assert self.store.log_id == self.log_id
        assert self.store.last_position() == len(self.appended)
        assert self.store.oldest_position() == self.dropped + 1
        assert self.store.latest_snapshot() == self.snapshot
        for name in ("file", "kafka"):
            position, request_id = self.cursors.get(name, (None, ""))
            assert (self.store.cursor(name), self.store.cursor_request(name)) == (position, request_id)

    def teardown(self) -> None:
        self.store.close()
        self.root.cleanup()


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
