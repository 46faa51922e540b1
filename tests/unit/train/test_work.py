"""What a rank does by itself in a step is told by when it begins its collectives."""

import math
import sys
import types
from typing import Any

import pytest
from dlroverd_train import _work


def test_a_step_is_at_work_up_to_its_last_collective() -> None:
    assert _work.spent([10.0, 11.0, 12.0, 13.0], [9.5, 10.25, 10.5, 12.75]) == [0.5, 0.75]


def test_a_clock_that_goes_back_is_no_work() -> None:
    assert _work.spent([10.0, 5.0, 6.0], [10.5, 5.5]) == []


def test_what_was_not_begun_is_not_counted() -> None:
    trace = {"entries": [{"time_created_ns": 2_000_000_000}, {"time_created_ns": 0}, {"time_created_ns": 10**9}]}
    assert _work.begun(trace) == [1.0, 2.0]


@pytest.mark.parametrize("said", [b"no json", b"[]", b'{"entries": [{}]}', b'{"entries": [{"time_created_ns": "x"}]}'])
def test_a_recorder_of_another_shape_is_left_alone(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder: Any = types.ModuleType(_work._RECORDER)
    asked = []

    def dump(*_: object) -> bytes:
        asked.append(1)
        return said

    recorder._dump_fr_trace_json = dump
    monkeypatch.setitem(sys.modules, _work._RECORDER, recorder)
    work = _work._Work()
    for _ in range(5):
        work.stepped()
    assert len(asked) == 1


def test_it_is_looked_at_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder: Any = types.ModuleType(_work._RECORDER)
    asked = []

    def dump(*_: object) -> bytes:
        asked.append(1)
        return b'{"entries": []}'

    recorder._dump_fr_trace_json = dump
    monkeypatch.setitem(sys.modules, _work._RECORDER, recorder)
    work = _work._Work()
    for _ in range(1000):
        work.stepped()
    assert len(asked) == 1
    assert math.isfinite(work._next)
