"""A pipe holds its writer back, and gives all that was put before its end."""

import asyncio

from dlroverd.runtime.pipe import Pipe


def test_a_writer_waits_for_its_reader() -> None:
    async def test() -> None:
        pipe: Pipe[int] = Pipe(2)
        put: list[int] = []

        async def write() -> None:
            for number in range(6):
                await pipe.put(number)
                put.append(number)
            pipe.end()

        writer = asyncio.create_task(write())
        for _ in range(10):
            await asyncio.sleep(0)
        assert put == [0, 1]
        assert [item async for item in pipe.read()] == list(range(6))
        await writer

    asyncio.run(test())


def test_what_was_put_before_the_end_is_read() -> None:
    async def test() -> None:
        pipe: Pipe[int] = Pipe(3)
        for number in range(3):
            await pipe.put(number)
        pipe.end()
        assert [item async for item in pipe.read()] == [0, 1, 2]

    asyncio.run(test())


def test_the_end_wakes_a_reader() -> None:
    async def test() -> None:
        pipe: Pipe[int] = Pipe(1)
        reader = asyncio.ensure_future(anext(pipe.read(), None))
        await asyncio.sleep(0)
        pipe.end()
        assert await reader is None

    asyncio.run(test())
