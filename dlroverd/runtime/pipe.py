"""A bounded queue that can be ended from the writing side: what was put before is still read."""

import asyncio
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Pipe(Generic[T]):
    """Items on their way from writers to one reader."""

    def __init__(self, capacity: int) -> None:
        """Begin empty."""
        self._items: asyncio.Queue[T] = asyncio.Queue(capacity)
        self._ended = asyncio.Event()

    async def put(self, item: T) -> None:
        """Add an item; wait while there is no room."""
        await self._items.put(item)

    def end(self) -> None:
        """Say that nothing more comes."""
        self._ended.set()

    async def read(self) -> AsyncIterator[T]:
        """Give the items up to the end."""
        ended = asyncio.create_task(self._ended.wait())
        try:
            while not (self._ended.is_set() and self._items.empty()):
                getter = asyncio.create_task(self._items.get())
                await asyncio.wait({getter, ended}, return_when=asyncio.FIRST_COMPLETED)
                if getter.done():
                    yield getter.result()
                else:
                    getter.cancel()
        finally:
            ended.cancel()
