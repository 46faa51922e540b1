"""What an event is in Kafka: key, value, headers, time."""

import json
import math
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from operator import attrgetter
from typing import NamedTuple, get_type_hints

from dlroverd.plugin_api import EventView, cloud_event

Headers = tuple[tuple[str, bytes], ...]

_HINTS = get_type_hints(EventView)
_TEXTS = tuple(field.name for field in fields(EventView) if _HINTS[field.name] is str and field.name != "body")
_NUMBERS = tuple(field.name for field in fields(EventView) if _HINTS[field.name] is not str)
_texts_of, _numbers_of = attrgetter(*_TEXTS), attrgetter(*_NUMBERS)
# A third of the time that the json module takes; and the body is JSON already.
_OBJECT = "{" + "".join(f'"{name}":%s,' for name in (*_TEXTS, *_NUMBERS)) + '"body":%s}'
# Of one record beyond its key, value and headers: lengths, time and offset, each at its longest; and of a header.
_RECORD_BYTES = 64
_HEADER_BYTES = 10
# The end of the year 9999: what Python can still show.
_LAST_MS = 253_402_300_799_999


class Message(NamedTuple):
    """One event, ready to be sent. `size` is not less than what it takes in a request."""

    event: EventView
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp_ms: int
    size: int


def message_of(event: EventView, format_: str) -> Message:
    """Make an event's message. The key keeps the order of a job's events, and of a node's without a job."""
    content_type, value_of = _FORMATS[format_]
    key = (str(event.job) if event.job else event.node or event.name).encode()
    value = value_of(event)
    place = f"{event.log_id}/{event.position}/{event.index}".encode()
    headers, size = _headers(event.name, event.version, event.severity, event.kind, content_type)
    own: Headers = (("id", place),)
    if event.job:
        own += (("job", key),)
    if event.node:
        own += (("node", event.node.encode()),)
    size += len(key) + len(value) + _RECORD_BYTES + sum(len(text) + 4 + _HEADER_BYTES for _, text in own)
    return Message(event, key, value, [*own, *headers], _milliseconds(event.time), size)


@lru_cache(1024)
def _headers(name: str, version: int, severity: str, kind: str, content_type: str) -> tuple[Headers, int]:
    """Give the headers that many events have alike, and what they take at most."""
    texts = {
        "name": name,
        "version": str(version),
        "severity": severity,
        "kind": kind,
        "content-type": content_type,
    }
    headers = tuple((header, text.encode()) for header, text in texts.items())
    return headers, sum(len(header) + len(text) + _HEADER_BYTES for header, text in headers)


def _value(event: EventView) -> bytes:
    """Give the event as the file sink does: one object, `body` an object in it."""
    texts = map(encode_basestring_ascii, _texts_of(event))
    return (_OBJECT % (*texts, *map(_number, _numbers_of(event)), event.body)).encode()


def _cloud_event(event: EventView) -> bytes:
    """Give the event as a CloudEvent, in what its Kafka binding calls structured mode."""
    return json.dumps(cloud_event(event), separators=(",", ":")).encode()


def _number(number: float) -> str:
    return repr(number) if math.isfinite(number) else "null"


def _milliseconds(seconds: float) -> int:
    """Give a record's time; for one that no broker would take, the nearest that it does."""
    return int(min(max(seconds * 1000, 0), _LAST_MS)) if not math.isnan(seconds) else 0


_FORMATS: dict[str, tuple[str, Callable[[EventView], bytes]]] = {
    "json": ("application/json", _value),
    "cloudevents": ("application/cloudevents+json; charset=UTF-8", _cloud_event),
}
FORMATS = tuple(_FORMATS)
