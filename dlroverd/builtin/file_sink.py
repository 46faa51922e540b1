"""A sink that appends events to a file, one JSON object a line, and rotates the file by size.

Settings: `path` (absolute), `rotate_bytes` (default 64 MiB; the file may exceed it by one batch), `keep` (how
many rotated files `path.1` .. `path.keep` stay, newest first; default 5), `format` (json, or cloudevents).
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TypeVar

from dlroverd.builtin.line_file import LineFile
from dlroverd.plugin_api import EventView, Sink, cloud_event, hookimpl

DLROVERD_API = 1

T = TypeVar("T")

_ENVELOPE = tuple(field.name for field in fields(EventView) if field.name != "body")
_DEFAULTS = {"path": "", "rotate_bytes": str(64 * 1024 * 1024), "keep": "5", "format": "json"}


class FileSink:
    """Appends to a `LineFile`."""

    def open(self, settings: dict[str, str]) -> None:
        """Check the settings and open the file."""
        unknown = sorted(set(settings) - set(_DEFAULTS))
        if unknown:
            raise ValueError(f"unknown setting {unknown[0]!r}; the file sink has {', '.join(_DEFAULTS)}")
        merged = _DEFAULTS | settings
        path = merged["path"]
        if not os.path.isabs(path):
            raise ValueError(f"path is {path!r}; the file sink needs an absolute path")
        rotate_bytes, keep = (_positive(name, merged[name]) for name in ("rotate_bytes", "keep"))
        self._line = chosen(FORMATS, merged["format"])
        self._file = LineFile(path, rotate_bytes, keep)

    def write(self, batch: tuple[EventView, ...]) -> None:
        """Append the batch and sync it; on failure nothing of it stays."""
        self._file.append(b"".join(map(self._line, batch)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def line(event: EventView, **more: str) -> bytes:
    """Give an event as a line of JSON, its body an object, with `more` beside its fields."""
    envelope = {name: getattr(event, name) for name in _ENVELOPE} | more
    # The body is JSON already, and may be large; line breaks can stand in it only where they mean nothing.
    body = event.body.replace("\n", " ")
    return f'{json.dumps(envelope, separators=(",", ":"))[:-1]},"body":{body}}}\n'.encode()


def cloud_line(event: EventView) -> bytes:
    """Give an event as a line of JSON, as a CloudEvent."""
    return f"{json.dumps(cloud_event(event), separators=(',', ':'))}\n".encode()


FORMATS: Mapping[str, Callable[[EventView], bytes]] = {"json": line, "cloudevents": cloud_line}


def chosen(formats: Mapping[str, T], name: str) -> T:
    """Give one of some formats; ValueError with one sentence if there is none of that name."""
    if name not in formats:
        raise ValueError(f"format is {name!r}; there are {' and '.join(formats)}")
    return formats[name]


def _positive(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{name} is {text!r}; the file sink needs a whole number of at least 1")
    return int(text)


@hookimpl
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over the file sink."""
    register(FileSink())
