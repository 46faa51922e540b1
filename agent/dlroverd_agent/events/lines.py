"""Reads the lines of a rank's events file. Its user's program wrote every byte of it, so nothing in it is believed.

A line is a JSON object: `n` name, `t` wall clock, `m` monotonic clock; and where they are not the default `v` version,
`k` kind (i, b, e, g), `s` severity, `p` pid, `sp` span, `pa` span around it, `b` body.
"""

import json
import re
from typing import Any, NoReturn

from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import EventKind, Severity, SpooledEvent

MOST_LINE_BYTES = 256 * 1024
MOST_BODY_BYTES = 64 * 1024
_MOST_DEPTH = 32
_MOST_NUMBER = 1 << 53
_MOST_READING = 1e300
_MOST_COUNT = 1 << 20

# The core's own names have no dot, and the agent's begin with `agent.`: no rank can say those.
_NAME = re.compile(r"(trainer|user)(\.[A-Za-z0-9_-]+)+", re.ASCII)
_SPAN = re.compile(r"[A-Za-z0-9_.:-]{0,64}", re.ASCII)
_KINDS = {"i": EventKind.INSTANT, "b": EventKind.BEGIN, "e": EventKind.END, "g": EventKind.GAUGE}
_SEVERITIES = {each.value: each for each in Severity}


class BadLineError(ValueError):
    """A line that is no event; the message says why, in a few words that are the same for all like it."""


def parse(line: bytes, rank: RankKey) -> SpooledEvent:
    """Read a line of a rank's, without its end; the event has no sequence yet (0). BadLineError if it is none."""
    values = _object(line)
    name = values.get("n")
    if not isinstance(name, str) or len(name) > 128 or not _NAME.fullmatch(name):
        raise BadLineError("a name that ranks may not use")
    return SpooledEvent(
        sequence=0,
        name=name,
        version=_whole(values.get("v", 1)),
        kind=_one_of(_KINDS, values.get("k", "i")),
        severity=_one_of(_SEVERITIES, values.get("s", Severity.INFO.value)),
        time=_number(values.get("t")),
        monotonic=_number(values.get("m")),
        rank=rank,
        pid=_whole(values.get("p", 0)),
        unit=rank.unit,
        span=_span(values.get("sp", "")),
        parent=_span(values.get("pa", "")),
        body=_body(values.get("b", {})),
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


# Made once: to make them takes as long as a line.
_DECODER = json.JSONDecoder(parse_constant=_refuse)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > MOST_LINE_BYTES:
        raise BadLineError("a line that is too long")
    try:
        values = _DECODER.decode(line.decode())
    except RecursionError:
        raise BadLineError("a body that is nested too deep") from None
    except ValueError:  # of the encoding too
        raise BadLineError("a line that is no JSON") from None
    if not isinstance(values, dict):
        raise BadLineError("a line that is no JSON object")
    return values


def _one_of(known: dict[str, Any], value: object) -> Any:
    if not isinstance(value, str) or value not in known:
        raise BadLineError("a value of the wrong kind")
    return known[value]


def _whole(value: object) -> int:
    if type(value) is not int or not 0 <= value < _MOST_NUMBER:
        raise BadLineError("a value of the wrong kind")
    return value


def _number(value: object) -> float:
    if type(value) not in (int, float) or not 0 <= value < _MOST_NUMBER:  # type: ignore[operator] # NaN is not either
        raise BadLineError("a value of the wrong kind")
    return float(value)  # type: ignore[arg-type] # it is one of the two


def _span(value: object) -> str:
    if not isinstance(value, str) or not _SPAN.fullmatch(value):
        raise BadLineError("a value of the wrong kind")
    return value


def _body(value: object) -> str:
    """Write a body anew; one that is too large becomes a mark of how large it was."""
    if not isinstance(value, dict):
        raise BadLineError("a body that is no JSON object")
    if _too_deep(value):
        raise BadLineError("a body that is nested too deep")
    try:
        text = _ENCODER.encode(value)
        size = len(text.encode())
    except ValueError:  # 1e999 is infinite; half a surrogate pair is no text
        raise BadLineError("a body with a value that JSON cannot hold") from None
    return text if size <= MOST_BODY_BYTES else f'{{"cut":"of {size} bytes, {MOST_BODY_BYTES} are the most"}}'


def _too_deep(body: dict[str, Any]) -> bool:
    level: list[object] = [body]
    for _ in range(_MOST_DEPTH):
        inner: list[object] = []
        for each in level:
            if isinstance(each, dict):
                inner.extend(each.values())
            elif isinstance(each, list):
                inner.extend(each)
        if not inner:
            return False
        level = inner
    return True


def value_of(event: SpooledEvent) -> tuple[float | None, int]:
    """Give what a gauge reads, the number `value` of its body, None if it has none; and of how many it is the mean."""
    body = json.loads(event.body)
    value, count = body.get("value"), body.get("count", 1)
    number = float(value) if type(value) in (int, float) and abs(value) < _MOST_READING else None
    return number, count if type(count) is int and 0 < count < _MOST_COUNT else 1
