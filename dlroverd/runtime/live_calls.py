"""The calls being served that were let in by a certificate, by who holds it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LiveCall:
    """One call, and the task that serves it."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        """Begin with nothing being sent."""
        self.task = task
        self.is_sending = False

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Have it not cancelled meanwhile: gRPC would drop the call, and never tell its client that it ended."""
        self.is_sending = True
        try:
            yield
        finally:
            self.is_sending = False


class LiveCalls:
    """Ends what a holder has open, once its certificate counts no more."""

    def __init__(self) -> None:
        """Begin with none."""
        self._calls: defaultdict[str, set[LiveCall]] = defaultdict(set)

    @contextmanager
    def serving(self, holder: str) -> Iterator[LiveCall]:
        """Note that the running task serves a call of `holder`."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is served by a task of the loop")
        call = LiveCall(task)
        self._calls[holder].add(call)
        try:
            yield call
        finally:
            self._calls[holder].discard(call)
            if not self._calls[holder]:
                del self._calls[holder]

    def end(self, holder: str) -> None:
        """Cancel the calls of `holder`, whatever they wait for; one that sends looks for itself when it has."""
        for call in self._calls.get(holder, ()):
            if not call.is_sending:
                call.task.cancel()
