"""What is written to the log comes back the same, for every kind of event, input and record there is."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.ids import RankKey
from dlroverd.model.input import Input
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.vocabulary.naming import name_of
from dlroverd.model.world import RankObservation
from dlroverd.runtime import codec
from dlroverd.store.interface import StoreUnreadable
from tests.properties.test_protocol import values

EXAMPLES = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = [(codec.EVENTS, cls) for cls in get_args(ev.Event)] + [(codec.INPUTS, cls) for cls in get_args(Input)]


def job_submitted(env: dict[str, str], deadline: float = 1.5) -> ev.JobSubmitted:
    role = RoleSpec(argv=("/bin/true",), cwd="/", env=env)
    spec = JobSpec(name="a", user=User(uid=1, gid=1, name="a"), roles=(role,))
    return ev.JobSubmitted(job=1, request_id="r", spec=spec, reason="", deadline=deadline)


@pytest.mark.parametrize(("which", "cls"), KINDS, ids=lambda value: getattr(value, "__name__", ""))
@EXAMPLES
@given(data=st.data())
def test_every_value_comes_back_the_same(which: codec.Codec[Any], cls: type, data: st.DataObject) -> None:
    value = data.draw(values(cls))
    text = which.encode([value, value])
    assert which.decode(text) == (value, value)
    assert which.encode(which.decode(text)) == text
    assert [(item["name"], item["v"]) for item in json.loads(text)] == [(name_of(cls), 1)] * 2


def test_names_are_the_class_names_in_snake_case() -> None:
    assert name_of(ev.JobSubmitted) == "job_submitted"
    assert name_of(ev.GangStopOverdue) == "gang_stop_overdue"


def test_equal_values_give_equal_texts() -> None:
    one, other = job_submitted({"A": "1", "B": "2"}, 3.0), job_submitted({"B": "2", "A": "1"}, 3)
    assert one == other
    assert codec.EVENTS.encode([one]) == codec.EVENTS.encode([other])
    seen = RankObservation(key=RankKey(1, "trainer", 0, 1, 0), state=RankState.RUNNING, started_at=7.0)
    first = ev.RanksSeen(node="n", ranks=(seen,))
    second = ev.RanksSeen(node="n", ranks=(replace(seen, started_at=7),))
    assert codec.EVENTS.encode([first]) == codec.EVENTS.encode([second])


def test_an_unknown_event_is_of_a_newer_release() -> None:
    with pytest.raises(StoreUnreadable, match=r"job_cloned in version 1.*start the newer dlroverd"):
        codec.EVENTS.decode('[{"body":{},"name":"job_cloned","v":1}]')
    with pytest.raises(StoreUnreadable, match=r"job_forgotten in version 2.*start the newer dlroverd"):
        codec.EVENTS.decode('[{"body":{"job":1},"name":"job_forgotten","v":2}]')


def test_a_damaged_event_names_what_is_wrong() -> None:
    with pytest.raises(StoreUnreadable, match="damaged: job_forgotten has no valid job"):
        codec.EVENTS.decode('[{"body":{"job":"many"},"name":"job_forgotten","v":1}]')


def test_older_versions_are_brought_up_to_date_step_by_step() -> None:
    upcasters = {
        ("job_forgotten", 1): lambda body: {"number": body["id"]},
        ("job_forgotten", 2): lambda body: {"job": body["number"] + 1},
    }
    forgetful = codec.Codec[Any]([ev.JobForgotten], upcasters)
    assert forgetful.decode('[{"body":{"id":6},"name":"job_forgotten","v":1}]') == (ev.JobForgotten(job=7),)
    assert forgetful.decode('[{"body":{"number":6},"name":"job_forgotten","v":2}]') == (ev.JobForgotten(job=7),)
    assert json.loads(forgetful.encode([ev.JobForgotten(job=7)]))[0]["v"] == 3


def test_a_snapshot_of_a_newer_release_is_refused() -> None:
    text = codec.encode_tables(codec.tables_of(State("log")))
    newer = json.dumps({**json.loads(text), "v": codec.SNAPSHOT_VERSION + 1})
    with pytest.raises(StoreUnreadable, match="start the newer dlroverd"):
        codec.decode_state(newer, "log")
