import json
import resource
from dataclasses import fields
from pathlib import Path

import pytest

from dlroverd.builtin.file_sink import FileSink
from dlroverd.plugin_api import EventView
from dlroverd.testing.conformance.sink import events


def opened(path: Path, **settings: str) -> FileSink:
    sink = FileSink()
    sink.open({"path": str(path), **settings})
    return sink


def positions(path: Path) -> list[int]:
    return [json.loads(line)["position"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_line_is_the_event_with_its_body_as_an_object(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = opened(path)
    sink.write(events(7, 1))
    sink.close()
    line = json.loads(path.read_text(encoding="utf-8"))
    assert line.keys() == {field.name for field in fields(EventView)}
    assert (
        line.items()
        >= {
            "position": 7,
            "index": 0,
            "time": 1.7e9,
            "name": "job_moved",
            "job": 1,
            "node": "",
            "severity": "info",
        }.items()
    )
    assert line["body"] == {"job": 1, "on": "done", "to": "succeeded", "reason": "all ranks exited with 0"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_rotates_by_size_and_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = opened(path, rotate_bytes="1", keep="2")
    for position in range(1, 6):
        sink.write(events(position, 1))
    sink.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["events", "events.1", "events.2"]
    assert [positions(tmp_path / name) for name in ("events", "events.1", "events.2")] == [[5], [4], [3]]


def test_it_goes_on_when_someone_took_the_file_away(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = opened(path, rotate_bytes="1")
    sink.write(events(1, 1))
    path.unlink()
    sink.write(events(2, 1))
    sink.close()
    assert positions(path) == [2]


@pytest.mark.parametrize("torn_bytes", [1, 200_000])
def test_a_line_torn_by_a_crash_is_dropped(tmp_path: Path, torn_bytes: int) -> None:
    path = tmp_path / "events"
    sink = opened(path)
    sink.write(events(1, 2))
    sink.close()
    with path.open("ab") as file:
        file.write(b"x" * torn_bytes)
    sink = opened(path)
    sink.write(events(3, 1))
    sink.close()
    assert positions(path) == [1, 2, 3]


def test_nothing_of_a_batch_that_found_no_room_stays(tmp_path: Path) -> None:
    path = tmp_path / "events"
    sink = opened(path)
    sink.write(events(1, 2))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 1000, unlimited[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            sink.write(events(3, 1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert positions(path) == [1, 2]
    sink.write(events(3, 1000))
    sink.close()
    assert positions(path) == list(range(1, 1003))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "path is ''; the file sink needs an absolute path"),
        ({"path": "events"}, "path is 'events'; the file sink needs an absolute path"),
        ({"path": "/x", "kepp": "1"}, "unknown setting 'kepp'; the file sink has path, rotate_bytes, keep"),
        ({"path": "/x", "keep": "0"}, "keep is '0'; the file sink needs a whole number of at least 1"),
        ({"path": "/x", "rotate_bytes": "1G"}, "rotate_bytes is '1G'; the file sink needs a whole number"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 the whole sentence is compared
        FileSink().open(settings)
    assert sentence in str(refused.value)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "events").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        opened(tmp_path / "events")
