"""What an event is in Kafka: key, value, headers, time."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter

from dlroverd.plugin_api import EventView

_ENVELOPE = tuple(field.name for field in fields(EventView) if field.name != "body")
_envelope_of = attrgetter(*_ENVELOPE)
_encode = json.JSONEncoder(separators=(",", ":")).encode
# Of one record beyond its key, value and headers: lengths, time and offset, each at its longest; and of a header.
_RECORD_BYTES = 64
_HEADER_BYTES = 10


@dataclass(frozen=True, slots=True)
class Message:
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
    headers = [
        ("id", f"{event.log_id}/{event.position}/{event.index}".encode()),
        ("name", event.name.encode()),
        ("version", str(event.version).encode()),
        ("severity", event.severity.encode()),
        ("kind", event.kind.encode()),
        ("content-type", content_type),
    ]
    if event.job:
        headers.append(("job", key))
    if event.node:
        headers.append(("node", event.node.encode()))
    size = len(key) + len(value) + _RECORD_BYTES
    for name, text in headers:
        size += len(name) + len(text) + _HEADER_BYTES
    return Message(event, key, value, headers, int(event.time * 1000), size)


def _value(event: EventView) -> bytes:
    """Give the event as the file sink and `event list -o json` do: one object, `body` an object in it."""
    # The body is JSON already: to decode and encode it again would take longer than all else here.
    envelope = _encode(dict(zip(_ENVELOPE, _envelope_of(event), strict=True)))
    return f'{envelope[:-1]},"body":{event.body}}}'.encode()


_FORMATS: dict[str, tuple[bytes, Callable[[EventView], bytes]]] = {"json": (b"application/json", _value)}
FORMATS = tuple(_FORMATS)
