"""Durations and sizes as people write them: `5s`, `1h30m`, `64MiB`.

A bare number is seconds or bytes. What `format_*` writes, `parse_*` reads back to the same value.
"""

import re

_DURATION_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS_BYTES: dict[str, int] = {
    "B": 1,
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", start=1)},
    **{f"{letter}B": 1000**power for power, letter in enumerate("kMGT", start=1)},
}
# The digits are bounded so that no text, however long, becomes infinite.
_DURATION_PART = r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)"
DURATION_PATTERN = rf"^(?:{_DURATION_PART})+$|^\d{{1,12}}(?:\.\d{{1,9}})?$"
SIZE_PATTERN = r"^(\d{1,15})\s*([kKMGT]i?B|B)?$"


def parse_duration(value: object) -> float:
    """Read seconds from `5s`, `500ms`, `1h30m` or a number of seconds; ValueError with a sentence."""
    text = str(value)
    if isinstance(value, str | int | float) and re.fullmatch(DURATION_PATTERN, text):
        parts: list[tuple[str, str]] = re.findall(_DURATION_PART, text)
        return sum(float(number) * _DURATION_UNITS_S[unit] for number, unit in parts) if parts else float(text)
    raise ValueError(f"must be a duration such as 500ms, 5s, 10m, 1h30m or 7d, not {shown(value)}")


def format_duration(duration_s: float) -> str:
    """Write seconds in the largest unit that holds them as a whole number."""
    for unit in ("d", "h", "m"):
        if duration_s and duration_s % _DURATION_UNITS_S[unit] == 0:
            return f"{duration_s / _DURATION_UNITS_S[unit]:.0f}{unit}"
    return f"{duration_s:.9f}".rstrip("0").rstrip(".") + "s"


def parse_size(value: object) -> int:
    """Read bytes from `64MiB`, `1GB` or a number of bytes; ValueError with a sentence."""
    match = re.fullmatch(SIZE_PATTERN, str(value)) if isinstance(value, str | int) else None
    if match is None or (match[2] or "B") not in _SIZE_UNITS_BYTES:
        raise ValueError(f"must be a size such as 512KiB, 64MiB or 1GiB, not {shown(value)}")
    number, unit = match.groups(default="B")
    return int(number) * _SIZE_UNITS_BYTES[unit]


def format_size(size_bytes: int) -> str:
    """Write bytes in the largest binary unit that holds them as a whole number."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _SIZE_UNITS_BYTES[unit] == 0:
            return f"{size_bytes // _SIZE_UNITS_BYTES[unit]}{unit}"
    return f"{size_bytes}B"


def shown(value: object) -> str:
    """Name a wrong value in a sentence: scalars as written (cut at 60 characters), containers by kind."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    text = str(value)
    return f"'{text}'" if len(text) <= 60 else f"'{text[:57]}...'"
