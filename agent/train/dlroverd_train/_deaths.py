"""How the process ends, written down without changing it: exceptions that nothing caught, and crashes.

No handler of a signal is installed. One in Python runs only once the main thread is back in the interpreter: TERM would
no longer end a rank that waits in a collective, and a crash (SEGV, BUS, FPE, ILL) would run the faulting instruction
for ever. What signal ended a rank, and whether it was sent on purpose, its agent knows without it. faulthandler,
enabled here unless it is, writes the stack of the thread that crashed to stderr, and lets the signal do what it does.
Of that thread alone: another one may be running, and who walks its stack then dies of that instead.
"""

from __future__ import annotations

import faulthandler
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

_LONG_MESSAGE = 2000  # characters
_LONG_STACK = 16000  # characters, of its end: where it was raised
Say = Callable[[dict[str, Any]], None]


def described(error: BaseException) -> dict[str, Any]:
    """Name an exception: its `type` as in a traceback, and its `message`."""
    kind = type(error)
    home = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - it is a user's, and may raise anything
        message = "(it has no text)"
    return {"type": f"{home}{kind.__qualname__}", "message": message[:_LONG_MESSAGE]}


def watch(say: Say) -> None:
    """Have exceptions that end the process or a thread said, before what is done with them in any case."""
    _watch_process(say)
    _watch_threads(say)
    try:
        if not faulthandler.is_enabled():
            faulthandler.enable(all_threads=False)
    except Exception:  # noqa: BLE001 - stderr is closed, or no file
        return


def _watch_process(say: Say) -> None:
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        try:
            # An import or `exec` here would make Python forget that it is to end by SIGINT; the agent sees that signal.
            if not isinstance(error, KeyboardInterrupt):
                _say(say, error, {})
        finally:
            before(kind, error, trace)

    sys.excepthook = hook


def _watch_threads(say: Say) -> None:
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        try:
            # A thread that exits by SystemExit is no fault: nothing is printed for it either.
            if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
                _say(say, args.exc_value, {"thread": args.thread.name if args.thread is not None else ""})
        finally:
            before(args)

    threading.excepthook = hook


def _say(say: Say, error: BaseException, more: dict[str, Any]) -> None:
    try:
        import traceback  # noqa: PLC0415 - a training that ends well does without

        stack = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        say({**described(error), "stack": stack[-_LONG_STACK:], **more})
    except Exception:  # noqa: BLE001 - what ends the process is the exception, not how it is told
        return
