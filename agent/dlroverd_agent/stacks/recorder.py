"""How far a rank is in its collectives, as it says itself out of torch's flight recorder (dlroverd_train/_recorder.py).

A rank whose interpreter is held by one of its calls does not answer, and one of another release, or without torch, has
no such socket: then nothing is known. Blocking, with a deadline; what it says is a stranger's word.
"""

import contextlib
import os
import socket
import time
from dataclasses import replace

from dlroverd_train.vault.frames import short_name
from pydantic import TypeAdapter

from dlroverd.model.stacks import GroupPosition
from dlroverd_agent.rank_socket import need_owner
from dlroverd_agent.stacks.frames import text

# torch writes its whole recorder, 2,000 collectives, for each answer: 0.03 s, and ten times as long on a busy host.
ANSWER_S = 1.0
_MOST_BYTES, _MOST_GROUPS, _MOST_NUMBER = 256 * 1024, 32, 2**62
_POSITIONS = TypeAdapter(tuple[GroupPosition, ...])


def positions(path: str, answer_s: float = ANSWER_S) -> tuple[GroupPosition, ...]:
    """Ask a rank, in the order of its groups; nothing if it does not say, or not as it should."""
    until = time.monotonic() + answer_s
    said = b""
    with contextlib.suppress(OSError, ValueError):
        if not os.path.lexists(path):
            return ()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(answer_s)
            with short_name(path) as name:
                connection.connect(name)
            need_owner(path, connection)
            while len(said) <= _MOST_BYTES:
                connection.settimeout(max(0.01, until - time.monotonic()))
                piece = connection.recv(65536)
                if not piece:
                    return _read(said)
                said += piece
    return ()


def _read(said: bytes) -> tuple[GroupPosition, ...]:
    found = _POSITIONS.validate_json(said)[:_MOST_GROUPS]
    if any(not 0 <= number <= _MOST_NUMBER for each in found for number in (each.begun, each.open)):
        return ()
    shown = (
        replace(each, group=text(each.group), backend=text(each.backend), about=text(each.about), call=text(each.call),
                of=text(each.of))
        for each in found
    )  # fmt: skip
    return tuple(sorted(shown, key=lambda each: (each.group, each.backend)))
