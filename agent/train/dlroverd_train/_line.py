"""An event as one line of JSON, whatever its body is.

Keys: `n` name, `k` kind (b, e, g; absent: an instant), `s` severity (absent: info), `t` wall clock, `m` monotonic clock
(seconds), `p` process id, `sp` span, `pa` the span around it, `b` body. The agent's events/lines.py reads it.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable
from json import encoder
from time import monotonic, time
from typing import Any

MAX_BODY = 64 * 1024  # bytes; the agent keeps no larger one
SEVERITIES = {"debug": ',"s":"debug"', "info": "", "warning": ',"s":"warning"'}
SEVERITIES.update({"error": ',"s":"error"', "critical": ',"s":"critical"'})

MOST_NAME = 128  # characters

_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", re.ASCII)
_LONG_TEXT = 200  # characters of a value that is no JSON
_LONG_VALUE = 2048  # characters of each value in a body that is too large
_MAX_DEPTH = 16
_MOST_ITEMS = MAX_BODY // 2  # of a list or a dict; with more the body is too large in any case


def head(name: str) -> str:
    """Begin the line of an event of this name; ValueError for one that cannot be."""
    if len(name) > MOST_NAME or not _NAME.fullmatch(name):
        raise ValueError(name)
    return f'{{"n":"{name}"'


def line(begun: str, ids: str, process: str, body: str) -> bytes:
    """Put a line together, with the clocks of now: what `head` gave, and parts of it, each with its comma before."""
    return f'{begun}{ids},"t":{time():.6f},"m":{monotonic():.6f}{process},"b":{body}}}\n'.encode()


def encoded(body: Any) -> tuple[str, bool]:
    """Write a body as JSON, and say whether it was cut. What is no object becomes the `value` of one."""
    if not isinstance(body, dict):
        body = {"value": body}
    try:
        text = _quick(body)
        if text.isascii() and len(text) < _LONG_TEXT:
            return text, False
        size = len(text.encode())
        if size <= MAX_BODY and text.count("{") + text.count("[") <= _MAX_DEPTH:
            return text, False
    except (ValueError, TypeError, RecursionError):
        size = 0  # a value that is no JSON: NaN, half a surrogate pair, a key that is no text, a circle
    if size <= MAX_BODY:
        text = _quick(_plain(body, 0))
        size = len(text.encode())
    return (text, False) if size <= MAX_BODY else (_cut(body, size), True)


def described(value: object) -> str:
    """Show a value in a few words, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - it is a user's, and may raise anything
        text = f"<{type(value).__name__}, which has no repr>"
    return text if len(text) <= _LONG_TEXT else f"{text[:_LONG_TEXT]}…"


def _other(value: Any) -> Any:
    """Make something of a value that JSON does not know: a number of numpy's or torch's, a path, else its repr."""
    if getattr(getattr(value, "device", None), "type", "cpu") != "cpu":
        return f"<{type(value).__name__} on {value.device}: not read, since that waits for the device>"
    if getattr(value, "shape", ()) == ():
        for convert, method in ((operator.index, "__index__"), (float, "__float__"), (_path, "__fspath__")):
            if hasattr(type(value), method):
                try:
                    return convert(value)
                except Exception:  # noqa: BLE001, S112 - a user's type may raise anything
                    continue
    return described(value)


def _path(value: Any) -> str:
    return str(value.__fspath__())


class _Encoder(json.JSONEncoder):
    """json's own, told what to make of other values."""

    def default(self, o: Any) -> Any:
        return _other(o)


def _encoder() -> Callable[[Any], str]:
    """Give json's encoder without what it does before each call: half of its time with so small a body."""
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:
        return _Encoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")).encode
    chunks = make(None, _other, encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda body: "".join(chunks(body, 0))


_quick = _encoder()


def _plain(value: Any, depth: int) -> Any:
    """Make a value one that JSON holds, all of it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value).encode("utf-8", "replace").decode()
    if isinstance(value, int):
        return int(value) if value.bit_length() < 64 else f"<a number of {value.bit_length()} bits>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, (dict, list, tuple, set, frozenset)) and depth < _MAX_DEPTH:
        if isinstance(value, dict):
            return {_key(key): _plain(each, depth + 1) for key, each in list(value.items())[:_MOST_ITEMS]}
        return [_plain(each, depth + 1) for each in list(value)[:_MOST_ITEMS]]
    if isinstance(value, (dict, list, tuple, set, frozenset)):
        return f"<{type(value).__name__}, nested too deep>"
    return _plain(_other(value), depth)


def _key(key: object) -> str:
    return _plain(key if isinstance(key, str) else described(key), 0)  # type: ignore[no-any-return] # a str is one


def _cut(body: dict[str, Any], size: int) -> str:
    """Keep the beginning of each value, as many as there is room for, and say how large it all was."""
    kept: dict[str, Any] = {}
    room = MAX_BODY // 2
    for key, value in list(body.items()):
        name, plain = _key(key)[:_LONG_TEXT], _plain(value, 1)
        text = _quick(plain)
        kept[name] = plain if len(text) <= _LONG_VALUE else f"{text[:_LONG_VALUE]}…"
        room -= len(_quick([name, kept[name]]).encode())
        if room < 0:
            break
    kept["cut"] = f"of {size} bytes, {MAX_BODY} are the most"
    return _quick(kept)
