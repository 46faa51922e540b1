"""What waits for the next turn. Bounded: a client is refused when it is full, an agent's news is not kept.

Agents' news may be dropped because it is level-triggered: what is not acknowledged is sent again.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dlroverd.core.turn import Done, Outcome, Refused
from dlroverd.model.input import Input
from dlroverd.protocol.errors import CallError, Reason

# A turn of this many takes about a tenth of a second; more waiting would only be more delay.
CAPACITY = 2000
# What the runtime itself has to say (silence, answers of schedulers) always has room.
_REASONS = {reason.value: reason for reason in (Reason.NOT_FOUND, Reason.STORAGE_LOW, Reason.INVALID)}


@dataclass(slots=True, eq=False)
class Entry:
    """One input on its way. `settle` is called once: when what followed from it is durable, or it has failed."""

    input: Input
    settle: Callable[[Outcome | CallError], None] | None = None
    taken: bool = False


class Inbox:
    """Inputs in the order in which they came."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """Begin empty and open."""
        self._capacity = capacity
        self._waiting: list[Entry] = []
        self._wake = asyncio.Event()
        self._closed = False

    def put(self, entry: Entry) -> None:
        """Add what must not be lost: there are few of these."""
        self._waiting.append(entry)
        self._wake.set()

    def offer(self, entry: Entry) -> bool:
        """Add what its sender will say again if it hears nothing; give whether there was room."""
        if self._closed or len(self._waiting) >= self._capacity:
            return False
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
        """Wait for entries, up to `timeout_s` or until `wake`; take all there are."""
        if not self._waiting:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()
        taken, self._waiting = self._waiting, []
        for entry in taken:
            entry.taken = True
        return taken

    def close(self) -> None:
        """Take nothing more in; what waits fails with `unavailable`, and may be asked again of the next daemon."""
        self._closed = True
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            if entry.settle is not None:
                entry.settle(closing())
        self._wake.set()


def closing() -> CallError:
    """Say that the daemon stops."""
    return CallError(Reason.UNAVAILABLE, "The daemon is stopping; try again when it is back.")
