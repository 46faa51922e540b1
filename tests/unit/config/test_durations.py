"""Durations and sizes as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlroverd.config.durations import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [
        ("5s", 5.0),
        ("500ms", 0.5),
        ("1h30m", 5400.0),
        ("7d", 604800.0),
        ("90", 90.0),
        ("0.25", 0.25),
        (3, 3.0),
        ("0", 0.0),
    ],
)
def test_a_duration_is_read(text: object, duration_s: float) -> None:
    assert parse_duration(text) == duration_s


@pytest.mark.parametrize("text", ["", "5 s", "-1s", "1e3", "inf", "nan", "5x", "h", "9" * 400, None, [1], "5s\n"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"^must be a duration such as 500ms, 5s, 10m, 1h30m or 7d, not "):
        parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_is_written_as_it_is_read(duration_ms: int) -> None:
    duration_s = duration_ms / 1000
    assert parse_duration(format_duration(duration_s)) == pytest.approx(duration_s, abs=1e-9)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("64MiB", 64 * 2**20), ("1GB", 10**9), ("1 KiB", 1024), ("12", 12), ("7B", 7), (5, 5)]
)
def test_a_size_is_read(text: object, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "MiB", "-1MiB", "1.5MiB", "1XB", "64 mb", None, {}])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"^must be a size such as 512KiB, 64MiB or 1GiB, not "):
        parse_size(text)


@given(st.integers(min_value=0, max_value=2**49))
def test_a_size_is_written_as_it_is_read(size_bytes: int) -> None:
    assert parse_size(format_size(size_bytes)) == size_bytes
