"""Tells the agent where this rank is in its collectives, out of torch's flight recorder, while its main thread hangs.

The recorder can only be read from within, and the main thread waits in a call of C++ then: so a thread of ours waits at
a socket in the rank's folder. A connection is the question; what it is sent until its end, the answer: JSON, a list of
groups (dlroverd_agent/stacks/recorder.py reads it). It begins in the second step, when `_work` has
found the recorder. `threading` does not list it, no signal is delivered to it, and a forked process does not have it.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

MODULE = "torch._C._distributed_c10d"
_DUMPS = ("_dump_nccl_trace_json", "_dump_fr_trace_json")
_MOST_GROUPS = 32
_SEND_S = 1.0

_listener: socket.socket | None = None
_offered = False


def dumps() -> list[Callable[[bool, bool], bytes]]:
    """Give torch's functions that dump a recorder as JSON, NCCL's and that of the others; none if it is not loaded."""
    module = sys.modules.get(MODULE)
    return [dump for name in _DUMPS if (dump := getattr(module, name, None)) is not None]


def entries() -> list[dict[str, Any]]:
    """Give the collectives that are in the recorders. Raises what torch does, and what other shapes lead to."""
    return [each for dump in dumps() for each in json.loads(dump(True, False))["entries"]]


def offer() -> None:
    """Answer from now on, if the agent has made a folder for it. The second call does nothing; raises nothing."""
    global _offered  # noqa: PLW0603 - one process
    page = os.environ.get("DLROVERD_PROGRESS_FILE")
    if _offered or not page:
        return
    _offered = True
    try:
        _thread.start_new_thread(_serve, (os.path.join(os.path.dirname(page), "recorder"),))
    except RuntimeError:
        pass  # no more threads are allowed: the rank runs as it would


def _serve(path: str) -> None:
    global _listener  # noqa: PLW0603 - one process
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        from .vault.frames import short_name  # noqa: PLC0415 - only where it is needed

        _listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _listener.settimeout(None)  # whatever the script has set for its own
        with short_name(path) as name:
            _listener.bind(name)  # fails if the rank answers already, by another copy of this module
        _listener.listen(4)
        while True:
            connection, _ = _listener.accept()
            with connection:
                connection.settimeout(_SEND_S)
                _answer(connection)
    except Exception:  # noqa: BLE001, S110 - the folder is gone, the program closed the socket: nobody is answered
        pass


def _answer(connection: socket.socket) -> None:
    try:
        connection.sendall(json.dumps(groups(entries())).encode())
    except Exception:  # noqa: BLE001, S110 - who asked is gone, or a recorder that is not as we know it: no answer
        pass


def groups(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say how far this process is in each process group, by its collectives; the newest groups, if many.

    Nothing, if it sends to single ranks as well: who waits for that is late in collectives by no fault of its own. The
    keys are those of `GroupPosition` (dlroverd/model/stacks.py).
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for each in recorded:
        if each.get("is_p2p"):
            return []
        group, about = each["process_group"]
        backend, _, call = each["profiling_name"].rpartition(":")
        number = int(each["collective_seq_id"])
        position = found.pop((group, backend), None)
        if position is None:
            position = {"group": group, "backend": backend, "about": about, "begun": 0, "open": 0, "call": "", "of": ""}
        found[group, backend] = position  # the one used last comes last
        position["begun"] = max(position["begun"], number)
        if not (each["retired"] or each["state"] == "completed") and not 0 < position["open"] <= number:
            position.update(open=number, call=call, of=_given(each))
    return list(found.values())[-_MOST_GROUPS:]


def _given(entry: dict[str, Any]) -> str:
    """Write what a collective is given: `Float[64, 64]`."""
    given = zip(entry["input_dtypes"], entry["input_sizes"])  # noqa: B905 - Python 3.9
    return ", ".join(f"{kind}{sizes}" for kind, sizes in given)[:160]


def _forked() -> None:
    """Be another process, which has no such thread: let go of its socket."""
    global _listener, _offered  # noqa: PLW0603 - one process
    _offered = True
    if _listener is not None:
        _listener.close()
        _listener = None


os.register_at_fork(after_in_child=_forked)
