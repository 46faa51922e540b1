"""What every sink keeps to, wherever it delivers to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from dlroverd.plugin_api import EventsRefused, EventView, Sink

Delivered = Sequence[tuple[int, int]]


def events(first: int, count: int) -> tuple[EventView, ...]:
    """Make events at positions `first`, `first` + 1 and so on, of several kinds, with text that needs care."""
    bodies = (
        {"job": 1, "on": "done", "to": "succeeded", "reason": "all ranks exited with 0"},
        {"job": 1, "reason": 'quotes " and \\, a line\nbreak, ünïcödé \U0001f680'},
        {"nodes": ["n1", "n2"], "deadline": 12.5, "cause": None},
    )
    names = ("job_moved", "job_reason_changed", "gang_stopping")
    return tuple(
        EventView(
            position=first + i,
            index=i % 2,
            time=1.7e9 + i,
            name=names[i % 3],
            job=1,
            node="",
            body=json.dumps(bodies[i % 3]),
        )
        for i in range(count)
    )


def _refused(sink: Sink, batch: tuple[EventView, ...]) -> set[tuple[int, int]]:
    """Write, and give what is refused for good."""
    refused: dict[tuple[int, int], str] = {}
    try:
        sink.write(batch)
    except EventsRefused as refusal:
        refused = refusal.refused
    assert all(isinstance(why, str) and why.strip() for why in refused.values()), "it does not say why"
    assert refused.keys() <= set(keys(batch)), "it refuses what it was not given"
    return set(refused)


def _large(position: int) -> EventView:
    body = json.dumps({"text": "x" * 10_000_000})
    return EventView(position=position, index=0, time=1.7e9, name="user.large", job=1, node="", body=body)


def keys(batch: Sequence[EventView]) -> list[tuple[int, int]]:
    """Give what tells events apart."""
    return [(event.position, event.index) for event in batch]


class SinkConformance:
    """Set `make` to your sink's class; override `settings`, and `delivered` if your sink keeps every event."""

    make: ClassVar[type[Sink]]

    def settings(self, directory: Path) -> dict[str, str]:  # noqa: ARG002 for those who override it
        """Give settings that work. `directory` is empty, and one test's own."""
        return {}

    def delivered(self, settings: dict[str, str]) -> Delivered:  # noqa: ARG002 for those who override it
        """Give (position, index) of all that arrived at the other side, in order of arrival."""
        pytest.skip("this sink does not show what it delivered")

    def test_events_are_acknowledged_one_by_one_and_in_bulk(self, tmp_path: Path) -> None:
        """No batch is too small or too large."""
        sink = self.make()
        sink.open(self.settings(tmp_path))
        for batch in (events(1, 1), (), events(2, 1000)):
            assert sink.write(batch) is None  # type: ignore[func-returns-value] # what a plugin returns is not known
        sink.close()

    def test_a_batch_may_come_again(self, tmp_path: Path) -> None:
        """At least once: after a crash the host gives again what was not acknowledged, and perhaps what was."""
        for _ in range(2):
            sink = self.make()
            sink.open(self.settings(tmp_path))
            sink.write(events(1, 3))
            sink.write(events(1, 3))
            sink.close()

    def test_a_large_event_is_taken_or_refused(self, tmp_path: Path) -> None:
        """One of 10 MB holds up none after it: it arrives, or it alone is refused for good."""
        settings = self.settings(tmp_path)
        sink = self.make()
        sink.open(settings)
        batch = (*events(1, 1), _large(2), *events(3, 1))
        refused = _refused(sink, batch)
        assert refused <= {(2, 0)}, f"write() refused {refused - {(2, 0)}}, which is as ever"
        sink.close()
        assert self.delivered(settings) == [key for key in keys(batch) if key not in refused]

    def test_events_of_one_batch_that_are_refused_come_again_to_the_same_end(self, tmp_path: Path) -> None:
        """A crash may follow a refusal: the same batch then comes again, and the same events are refused."""
        settings = self.settings(tmp_path)
        batch = (*events(1, 2), _large(3), *events(4, 2))
        seen = []
        for _ in range(2):
            sink = self.make()
            sink.open(settings)
            seen.append(_refused(sink, batch))
            sink.close()
        assert seen[0] == seen[1]

    def test_an_unknown_setting_is_refused(self, tmp_path: Path) -> None:
        """A misspelt setting must not be passed over."""
        with pytest.raises(ValueError, match=r"\w+ \w+"):
            self.make().open(self.settings(tmp_path) | {"no_such_setting": "1"})

    def test_what_was_acknowledged_has_arrived_in_order(self, tmp_path: Path) -> None:
        """Even if nobody closes the sink: a process that is killed does not."""
        settings = self.settings(tmp_path)
        sink = self.make()
        sink.open(settings)
        sink.write(events(1, 3))
        sink.write(events(4, 100))
        assert self.delivered(settings) == keys(events(1, 3) + events(4, 100))
        sink.close()

    def test_what_was_delivered_before_is_kept(self, tmp_path: Path) -> None:
        """Opening again continues."""
        settings = self.settings(tmp_path)
        for first in (1, 4):
            sink = self.make()
            sink.open(settings)
            sink.write(events(first, 3))
            sink.close()
        assert self.delivered(settings) == keys(events(1, 3) + events(4, 3))
