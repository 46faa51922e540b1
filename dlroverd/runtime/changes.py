"""Wakes those who follow: a job, or all of the log. Only what is durable is told."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

ANY = 0


class Changes:
    """Who waits for what."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._followers: dict[int, set[asyncio.Event]] = {}

    @contextmanager
    def follow(self, job: int = ANY) -> Iterator[asyncio.Event]:
        """Give an event that is set at each change of a job, or of anything; the follower clears it."""
        wake = asyncio.Event()
        self._followers.setdefault(job, set()).add(wake)
        try:
            yield wake
        finally:
            self._followers[job].discard(wake)
            if not self._followers[job]:
                del self._followers[job]

    def publish(self, jobs: Iterable[int]) -> None:
        """Tell that these jobs changed, and something did."""
        for key in {ANY, *jobs}:
            for wake in self._followers.get(key, ()):
                wake.set()
