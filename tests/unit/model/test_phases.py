"""An incident's phases are all of its time, however far it got."""

from dataclasses import replace
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.model.fault import Incident
from dlroverd.model.ids import GangKey
from dlroverd.model.phases import PHASES, UNKNOWN, cost_node_s, last_mark, phases

MARKS = ("detected_at", "stopped_at", "decided_at", "placed_at", "started_at", "stepped_at", "caught_up_at")
BEGAN = 1_700_000_000.123456


def incident(*seconds: float, reached: int = 40, closed_after: float | None = None) -> Incident:
    """An incident that got through as many phases as there are lengths."""
    ends = [BEGAN + end for end in accumulate(seconds)]
    marks = dict(zip(MARKS, ends, strict=False))
    at: dict[str, Any] = dict.fromkeys(MARKS, 0.0) | marks
    closed_at = BEGAN + sum(seconds) + closed_after if closed_after is not None else 0.0
    gang = GangKey(1, "trainer", 0)
    return Incident(id=1, gang=gang, round=1, began_at=BEGAN, reached=reached, nodes=4, closed_at=closed_at, **at)


lengths = st.floats(0, 1e6, allow_nan=False)


@given(lengths=st.lists(lengths, min_size=1, max_size=7), after=lengths, reached=st.integers(-1, 9), data=st.data())
def test_phases_are_all_of_the_time(lengths: list[float], after: float, reached: int, data: st.DataObject) -> None:
    whole = incident(*lengths, reached=reached, closed_after=after)
    for mark in data.draw(st.sets(st.sampled_from(MARKS[1:]))):  # whatever was not seen
        unseen: dict[str, Any] = {mark: 0.0}
        whole = replace(whole, **unseen)
    parts = phases(whole)
    assert sum(span_us for _, span_us in parts) == round((whole.closed_at - whole.began_at) * 1e6)
    assert all(span_us >= 0 for _, span_us in parts)
    assert [name for name, _ in parts] == [name for name in (*PHASES, UNKNOWN) if name in dict(parts)]


def test_each_phase_is_the_time_between_its_marks() -> None:
    seen = dict(phases(incident(0.5, 1.5, 5, 60, 2, 30, 300, closed_after=0)))
    assert seen == {
        "detect": 500_000,
        "stop": 1_500_000,
        "decide": 5_000_000,
        "wait": 60_000_000,
        "start": 2_000_000,
        "load": 30_000_000,
        "recompute": 300_000_000,
        "unknown": 0,
    }


def test_an_incident_ends_in_the_phase_it_had_got_to() -> None:
    assert dict(phases(incident(1, 1, 0, closed_after=7200)))["wait"] == 7_200_000_000
    assert dict(phases(incident(1, 1, 0, 0, 2, closed_after=9)))["load"] == 9_000_000
    assert dict(phases(incident(1, 1, 0, 0, 2, 3, closed_after=9)))["recompute"] == 9_000_000


def test_whether_a_script_without_steps_has_made_one_cannot_be_told() -> None:
    silent = incident(1, 1, 0, 0, 2, reached=-1, closed_after=9)
    assert "load" not in dict(phases(silent))
    assert dict(phases(silent))["unknown"] == 9_000_000
    assert cost_node_s(silent, now=0.0) == 4 * 4


def test_of_an_open_incident_the_phases_are_given_that_are_over() -> None:
    assert dict(phases(incident(1, 2, 0))) == {"detect": 1_000_000, "stop": 2_000_000, "decide": 0, "unknown": 0}
    assert last_mark(incident(1, 2)) == pytest.approx(BEGAN + 3)


def test_it_costs_its_nodes_until_it_is_over() -> None:
    assert cost_node_s(incident(1, 2, 0, closed_after=7), now=0.0) == 4 * 10
    assert cost_node_s(incident(1, 2, 0), now=BEGAN + 20) == 4 * 20


def test_an_older_release_decided_when_all_had_stopped() -> None:
    old = replace(incident(1, 2, 3, 4, closed_after=0), decided_at=0.0)
    seen = dict(phases(old))
    assert seen == {"detect": 1_000_000, "stop": 2_000_000, "decide": 0, "wait": 7_000_000, "start": 0, "unknown": 0}
