"""What a rank does by itself in a step is told by when it begins its collectives."""

import json
import math
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dlroverd_train import _recorder, _work, events

from tests.unit.train.said import read


def test_a_step_is_at_work_up_to_its_last_collective() -> None:
    assert _work.spent([10.0, 11.0, 12.0, 13.0], [9.5, 10.25, 10.5, 12.75]) == [0.5, 0.75]


def test_a_clock_that_goes_back_is_no_work() -> None:
    assert _work.spent([10.0, 5.0, 6.0], [10.5, 5.5]) == []


def test_what_was_not_begun_is_not_counted() -> None:
    recorded = [{"time_created_ns": 2_000_000_000}, {"time_created_ns": 0}, {"time_created_ns": 10**9}]
    assert _work.begun(recorded) == [1.0, 2.0]


def test_stages_of_a_pipeline_are_told_from_ranks_that_do_the_same() -> None:
    """What was sent before these steps, as at a checkpoint, is no matter."""
    recorded = [{"time_created_ns": 2_000_000_000, "is_p2p": True}, {"time_created_ns": 3_000_000_000}]
    assert _work.hands_on(recorded, since=1.0)
    assert not _work.hands_on(recorded, since=2.5)


@pytest.mark.parametrize("said", [b"no json", b"[]", b'{"entries": [{}]}', b'{"entries": [{"time_created_ns": "x"}]}'])
def test_a_recorder_of_another_shape_is_left_alone(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder: Any = types.ModuleType(_recorder.MODULE)
    asked = []

    def dump(*_: object) -> bytes:
        asked.append(1)
        return said

    recorder._dump_fr_trace_json = dump
    monkeypatch.setitem(sys.modules, _recorder.MODULE, recorder)
    work = _work._Work()
    for _ in range(5):
        work.stepped()
    assert len(asked) == 1


def test_it_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder: Any = types.ModuleType(_recorder.MODULE)
    asked = []

    def dump(*_: object) -> bytes:
        asked.append(1)
        return b'{"entries": []}'

    recorder._dump_fr_trace_json = dump
    monkeypatch.setitem(sys.modules, _recorder.MODULE, recorder)
    work = _work._Work()
    for _ in range(1000):
        work.stepped()
    assert len(asked) == 1
    assert math.isfinite(work._next)


class Played:
    """A rank whose steps take what a test says, on a clock of its own; a look at its recorder costs it `cost_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, file: Path, cost_s: float) -> None:
        self.now, self.used, self.cost_s = 1000.0, 0.0, cost_s
        self.steps, self.looks = 0, []  # type: int, list[int]
        self._begun: list[float] = []
        self._file = file
        recorder: Any = types.ModuleType(_recorder.MODULE)
        recorder._dump_fr_trace_json = self._dump
        monkeypatch.setitem(sys.modules, _recorder.MODULE, recorder)
        self._work = _work._Work(lambda: self.now, lambda: self.now, lambda: self.used)

    def step(self, *took_s: float) -> None:
        """Make steps, each with one collective at its end."""
        for each in took_s:
            self.steps += 1
            self.now += each
            self._begun.append(self.now)
            self._work.stepped()

    def told(self) -> list[float]:
        return [round(each["b"]["value"], 3) for each in read(self._file) if each["n"] == "trainer.work"]

    def _dump(self, *_: object) -> bytes:
        self.looks.append(self.steps)
        self.used += self.cost_s
        return json.dumps({"entries": [{"time_created_ns": int(at * 1e9)} for at in self._begun]}).encode()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    events.to_file(str(tmp_path / "events"))
    yield tmp_path / "events"
    events.to_file("")


def test_looks_take_little_of_the_ranks_time(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    rank = Played(monkeypatch, file, cost_s=0.02)
    rank.step(*(1.0, 1.0, 2.0) * 100)
    assert len(rank.looks) * 0.02 <= (rank.now - 1000.0) / 500 + 5 * 0.02


def test_steps_that_become_longer_are_looked_at_one_by_one_and_so_are_those_that_become_shorter(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """With a look that costs 20 ms it is ten seconds to the next one: a tenth of these steps would be seen."""
    rank = Played(monkeypatch, file, cost_s=0.02)
    rank.step(*[1.0] * 40)
    before, calm = rank.steps, len(rank.looks)
    assert calm <= 10
    rank.step(*[1.5] * 6)
    assert rank.looks[calm:][:4] == [before + 2, before + 3, before + 4, before + 5]
    assert rank.told()[-4:] == [1.5] * 4
    rank.step(*[1.5] * 40)
    before = rank.steps
    rank.step(*[1.0] * 5)
    assert {before + 2, before + 3, before + 4} <= set(rank.looks)
    assert rank.told()[-2:] == [1.0, 1.0]


def test_steps_as_short_as_a_look_are_not_looked_at_ahead_of_time(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    rank = Played(monkeypatch, file, cost_s=0.02)
    rank.step(*[0.004] * 2000)
    looks = list(rank.looks)
    rank.step(*[0.006] * 100)
    assert rank.looks == looks


def test_one_long_step_is_no_reason_to_look(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    rank = Played(monkeypatch, file, cost_s=0.4)  # seldom: 100 s apart
    rank.step(*[1.0] * 20)
    looks = list(rank.looks)
    rank.step(1.0, 9.0, 1.0, 1.0, 9.0, 1.0)
    assert rank.looks == looks
