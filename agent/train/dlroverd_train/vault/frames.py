"""Messages on the vault's socket: four bytes of length, then as many of JSON; descriptors come with the length."""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

LIMIT = 1 << 20
"""Bytes of one message."""

Message = dict[str, Any]
_LENGTH = struct.Struct("<I")
HEAD = _LENGTH.size
"""Bytes of the length."""

_MOST_DESCRIPTORS = 4


class GoneError(ConnectionError):
    """The other end has closed the connection, said something that is no message, or stalled in the middle of one."""


@contextmanager
def short_name(path: str) -> Iterator[str]:
    """Give a name of a socket that fits into an address (107 bytes), however long that of its folder is."""
    folder = os.open(os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def packed(message: Message) -> bytes:
    """Make the bytes of one message. Raises ValueError if it is above LIMIT."""
    body = json.dumps(message).encode()
    if len(body) > LIMIT:
        raise ValueError(f"a message of {len(body)} bytes; at most {LIMIT} go through the vault's socket")
    return _LENGTH.pack(len(body)) + body


def length_in(head: bytes) -> int:
    """Read how many bytes follow the HEAD bytes of a message. Raises ValueError if they are above LIMIT."""
    (length,) = _LENGTH.unpack(head)
    if length > LIMIT:
        raise ValueError(f"a message of {length} bytes announced on the vault's socket; at most {LIMIT}")
    return int(length)


def unpacked(body: bytes) -> Message:
    """Read what follows the HEAD bytes of a message. Raises ValueError if it is none."""
    try:
        message = json.loads(body)
    except RecursionError as error:
        raise ValueError("a message on the vault's socket is nested too deeply") from error
    if not isinstance(message, dict):
        raise ValueError("a message on the vault's socket is no JSON object")  # noqa: TRY004 - it is the sender's fault
    return message


def send(connection: socket.socket, message: Message, descriptors: Sequence[int] = (), *, within: float = 10.0) -> None:
    """Send one message.

    Raises GoneError if the other end is away or does not take it `within` seconds, ValueError if it is above LIMIT.
    """
    frame = packed(message)
    try:
        connection.settimeout(within)
        if descriptors:
            if socket.send_fds(connection, [frame[:HEAD]], list(descriptors)) != HEAD:
                raise GoneError("the vault's socket took half a length")
            connection.sendall(frame[HEAD:])
        else:
            connection.sendall(frame)
    except (OSError, ValueError) as error:
        raise GoneError(f"the connection to the vault is lost: {error}") from error


def receive(connection: socket.socket, *, idle: float | None = None, within: float = 10.0) -> tuple[Message, list[int]]:
    """Wait up to `idle` seconds for a message to begin (None: for ever) and `within` seconds for the rest of it.

    Raises GoneError; then no descriptor is left open.
    """
    descriptors: list[int] = []
    try:
        connection.settimeout(idle)
        start, descriptors, _, _ = socket.recv_fds(connection, HEAD, _MOST_DESCRIPTORS)
        until = time.monotonic() + within
        start += _exactly(connection, HEAD - len(start), until) if start else b""
        if not start:
            raise GoneError("the other end of the vault's socket has closed it")
        return unpacked(_exactly(connection, length_in(start), until)), descriptors
    except (OSError, ValueError) as error:
        for descriptor in descriptors:
            os.close(descriptor)
        raise (
            error if isinstance(error, GoneError) else GoneError(f"the connection to the vault is lost: {error}")
        ) from error


def _exactly(connection: socket.socket, size: int, until: float) -> bytes:
    parts = []
    while size:
        connection.settimeout(max(0.001, until - time.monotonic()))
        part = connection.recv(min(size, 1 << 16))
        if not part:
            raise GoneError("the other end of the vault's socket closed it in the middle of a message")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
