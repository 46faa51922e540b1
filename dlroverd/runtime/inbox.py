"""What waits for the next turn. Bounded: a client is refused when too much waits, and so is what agents will say again.

What each session has at most one of, its hello or its newest report, is always kept: to drop it would only have it
sent again, by everyone at once and when there is most to do.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dlroverd.core.turn import Done, Outcome, Refused
from dlroverd.model.input import Input
from dlroverd.protocol.errors import CallError, Reason

# More waiting would only be more delay.
CAPACITY = 2000
# A turn of this many takes some hundredths of a second; in between, what comes in is read, and what is said is sent.
TURN = 200
_REASONS = {reason.value: reason for reason in (Reason.NOT_FOUND, Reason.STORAGE_LOW, Reason.INVALID)}


@dataclass(slots=True, eq=False)
class Entry:
    """One input on its way. `settle` is called once: when what followed from it is durable, or it has failed.

    `taken`: it is in a turn. `counted`: it is one of those that the inbox has a limit for.
    """

    input: Input
    settle: Callable[[Outcome | CallError], None] | None = None
    taken: bool = False
    counted: bool = False

    def done(self, result: Outcome | CallError) -> None:
        """Settle it, and let go of who waits: the two mostly know each other, and only a search would find them."""
        settle, self.settle = self.settle, None
        if settle is not None:
            settle(result)


class Inbox:
    """Inputs in the order in which they came."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Begin empty and open."""
        self._capacity = capacity
        self._waiting: list[Entry] = []
        self._counted = 0
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, entry: Entry) -> None:
        """Add what must not be lost: there are few of these, or one for each session."""
        if self._closed:
            entry.done(closing())
            return
        self._waiting.append(entry)
        self._wake.set()

    def offer(self, entry: Entry) -> bool:
        """Add what its sender will say again if it hears nothing; give whether there was room."""
        if self._closed or self._counted >= self._capacity:
            return False
        entry.counted = True
        self._counted += 1
        self.put(entry)
        return True

    async def ask(self, item: Input) -> int:
        """Have a request decided, and wait until the decision is durable.

        Returns:
            The job that it is about, 0 if none.

        Raises:
            CallError: it was refused, by the core or because too much is waiting.
        """
        answer: asyncio.Future[Outcome | CallError] = asyncio.get_running_loop().create_future()

        def settle(result: Outcome | CallError) -> None:
            if not answer.done():  # the client may have gone
                answer.set_result(result)

        if self._closed:
            raise closing()
        if not self.offer(Entry(item, settle)):
            raise CallError(
                Reason.UNAVAILABLE, f"{self._capacity} requests are waiting already; try again in a moment."
            )
        match await answer:
            case Done(job=job):
                return job
            case Refused(reason=reason, sentence=sentence):
                raise CallError(_REASONS.get(reason, Reason.REFUSED), sentence)
            case CallError() as error:
                raise error

    async def take(self, timeout_s: float) -> list[Entry]:
        """Wait for entries, up to `timeout_s`, and take as many as make a turn."""
        if self._waiting:
            await asyncio.sleep(0)  # everyone else has a turn first
        else:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()
        taken, self._waiting = self._waiting[:TURN], self._waiting[TURN:]
        for entry in taken:
            entry.taken = True
            self._counted -= entry.counted
        return taken

    def close(self) -> None:
        """Take nothing more in; what waits fails with `unavailable`, and may be asked again of the next daemon."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            entry.done(closing())
        self._wake.set()


def closing() -> CallError:
    """Say that the daemon stops."""
    return CallError(Reason.UNAVAILABLE, "The daemon is stopping; try again when it is back.")
