"""Events on their way out, as CloudEvents: read back by the SDK of those who made the standard."""

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings

from dlroverd.model.view import EventView
from dlroverd.plugin_api import cloud_event
from tests.properties.test_protocol import values

VIEW = EventView(
    log_id="4f2a",
    position=812,
    index=3,
    time=1_700_000_000.25,
    monotonic=12.5,
    name="trainer.save",
    version=2,
    severity="warning",
    kind="begin",
    job=7,
    role="trainer",
    gang=0,
    round=2,
    rank=0,
    node="n1",
    host="h1",
    boot_id="b1",
    pid=77,
    span="a-1",
    parent="a-0",
    body='{"step": 9, "path": "/ckpt/ü"}',
)


def read(event: EventView) -> CloudEvent:
    """Write an event as we do, and read it with the SDK, which refuses what the standard forbids."""
    text = json.dumps(cloud_event(event), ensure_ascii=False, allow_nan=False)
    found = JSONFormat().read(CloudEvent, text.encode())
    assert isinstance(found, CloudEvent)
    return found


def test_an_independent_reader_understands_it() -> None:
    event = read(VIEW)
    assert (event.get_id(), event.get_source()) == ("4f2a/812/3", "/dlroverd/4f2a")
    assert (event.get_type(), event.get_subject()) == ("dlroverd.trainer.save.v2", "job/7/trainer/0/round/2/rank/0")
    assert event.get_time() == datetime(2023, 11, 14, 22, 13, 20, 250000, tzinfo=UTC)
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {"step": 9, "path": "/ckpt/ü"}
    extensions = {
        name: event.get_extension(name) for name in ("severitytext", "severitynumber", "kind", "gang", "rank")
    }
    assert extensions == {"severitytext": "warning", "severitynumber": 13, "kind": "begin", "gang": 0, "rank": 0}
    assert (event.get_extension("bootid"), event.get_extension("monotonic")) == ("b1", "12.500000")
    assert event.get_extension("partitionkey") == "7"
    assert cloud_event(VIEW)["time"] == "2023-11-14T22:13:20.250000Z"


def test_what_is_not_known_is_left_out() -> None:
    bare = EventView(position=1, index=0, time=0.0, name="storage_space_changed", job=0, node="", body="{}", log_id="x")
    assert set(cloud_event(bare)) == {
        *("specversion", "id", "source", "type", "time", "datacontenttype", "data"),
        *("severitytext", "severitynumber", "sequence", "partitionkey", "kind"),
    }
    of_node = replace(bare, node="n1")
    assert (read(of_node).get_subject(), read(of_node).get_extension("partitionkey")) == ("node/n1", "n1")


@pytest.mark.parametrize("time", [1e30, -1e18, math.inf, -math.inf, math.nan])
def test_a_clock_that_says_no_time_stops_nothing(time: float) -> None:
    assert "time" not in cloud_event(replace(VIEW, time=time))
    assert read(replace(VIEW, time=time)).get_id() == read(VIEW).get_id()


def test_numbers_that_json_does_not_have_are_text() -> None:
    assert read(replace(VIEW, body='{"loss": NaN, "all": [Infinity, -Infinity]}')).get_data() == {
        "loss": "NaN",
        "all": ["Infinity", "-Infinity"],
    }


def test_a_large_number_is_no_integer_of_cloudevents() -> None:
    assert cloud_event(replace(VIEW, pid=2**40))["pid"] == str(2**40)


def test_the_sequence_sorts_as_the_log() -> None:
    places = [(1, 0), (1, 2), (1, 10), (2, 0), (10, 0), (100_000, 5)]
    sequences = [cloud_event(replace(VIEW, position=at, index=index))["sequence"] for at, index in places]
    assert sequences == sorted(sequences)


@settings(max_examples=60, deadline=None)
@given(view=values(EventView))
def test_whatever_an_event_says_is_a_cloud_event(view: EventView) -> None:
    event = read(replace(view, body='{"a":1}'))
    attributes: dict[str, Any] = event.get_attributes()
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in attributes)
    assert all(isinstance(value, get_args(str | int | datetime)) for value in attributes.values())
