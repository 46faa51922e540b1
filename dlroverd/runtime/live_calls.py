"""The calls being served that were let in by a certificate, by who holds it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LiveCalls:
    """Ends what a holder has open, once its certificate counts no more."""

    def __init__(self) -> None:
        """Begin with none."""
        self._tasks: defaultdict[str, set[asyncio.Task[Any]]] = defaultdict(set)

    @contextmanager
    def serving(self, holder: str) -> Iterator[None]:
        """Note that the running task serves a call of `holder`."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a call is served by a task of the loop")
        self._tasks[holder].add(task)
        try:
            yield
        finally:
            self._tasks[holder].discard(task)
            if not self._tasks[holder]:
                del self._tasks[holder]

    def end(self, holder: str) -> None:
        """Cancel the calls of `holder`, whatever they wait for."""
        for task in self._tasks.get(holder, ()):
            task.cancel()
