"""Lets the agent have the stack of the main thread where it may not look itself: faulthandler writes it at a signal.

The handler is faulthandler's own, in C: it runs at once, whatever the interpreter is at, has interrupted calls of the
kernel go on, and writes to a file alone. Of the main thread only, since who walks the stack of one that runs may die of
that. The signal is a real-time one, which nothing sends by itself; a script that handles it keeps it. That it is
handled so is said in the file, by process: the agent sends it to nobody else (dlroverd_agent/stacks/asked.py).
"""

import faulthandler
import os
import signal

from ._descriptors import opened

# Beyond SIGRTMIN, of which threads and profilers take the first ones.
_BEYOND = 16


def offer() -> None:
    """Have the agent's signal answered. Does nothing outside dlroverd, and never raises."""
    try:
        page = os.environ.get("DLROVERD_PROGRESS_FILE")
        number = signal.SIGRTMIN + _BEYOND
        if not page or signal.getsignal(number) is not signal.SIG_DFL:
            return
        descriptor = opened(os.path.join(os.path.dirname(page), "stacks"), os.O_RDWR | os.O_APPEND)
        said = f"dlroverd-stacks {os.getpid()} {number}\n".encode()
        first = os.pread(descriptor, 80, 0).partition(b"\n")[0] + b"\n"
        if first not in (b"\n", said):  # of the rank that started this process
            os.close(descriptor)
            return
        faulthandler.register(number, file=descriptor, all_threads=False, chain=False)
        if first != said:
            os.write(descriptor, said)
    except Exception:  # noqa: BLE001, S110 - a full disk, a system without such signals: the rank runs as it would
        pass
