"""Calls that end with their caller's certificate: at once where they wait, and once it is out what they send."""

import asyncio

import pytest

from dlroverd.runtime.live_calls import LiveCalls


def test_who_waits_is_cancelled_who_sends_is_not_and_others_are_left_alone() -> None:
    async def test() -> None:
        calls, sent = LiveCalls(), asyncio.Event()

        async def waits(holder: str) -> None:
            with calls.serving(holder):
                await asyncio.Event().wait()

        async def sends() -> str:
            with calls.serving("n1") as call:
                with call.sending():
                    await sent.wait()
                return "sent"

        waiting, other, sending = (asyncio.create_task(each) for each in (waits("n1"), waits("n2"), sends()))
        await asyncio.sleep(0)
        calls.end("n1")
        calls.end("n3")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not sending.done()
        sent.set()
        assert await sending == "sent"
        assert not other.done()
        other.cancel()

    asyncio.run(test())
