"""Hands the spool on to the daemon, in order, one batch after the other, as slowly as nobody else minds."""

import asyncio
from typing import TypeAlias

import grpc.aio
import structlog

from dlroverd.model.spooled import EventsTaken
from dlroverd.protocol.convert import ProtocolError, from_proto, to_proto
from dlroverd.protocol.identity import IdentifiedStub
from dlroverd.protocol.v1 import agent_service_pb2
from dlroverd_agent.events.spool import Spool

# Between two batches: the daemon and this node have better things to do, and 10,000 events a second is plenty.
_PAUSE_S = 0.05
# The same when all had been sent: a rank that says a little all the time costs the log few records, each of which is a
# sync and a delivery to every sink.
_GATHER_S = 2.0
_FIRST_RETRY_S = 1.0
_LAST_RETRY_S = 30.0

_Call: TypeAlias = "grpc.aio.StreamStreamCall[agent_service_pb2.EventBatch, agent_service_pb2.EventsTaken]"

_log = structlog.get_logger()


class Forwarder:
    """Sends what a spool has, for one node, in whatever session there is."""

    def __init__(self, node: str, spool: Spool) -> None:
        """Send nothing yet."""
        self._node = node
        self._spool = spool
        self._filled = asyncio.Event()
        self._taken = 0
        self._said = ""

    def wake(self) -> None:
        """Look into the spool: it has more."""
        self._filled.set()

    async def run(self, stub: IdentifiedStub) -> None:
        """Send until cancelled, or until it is clear that this daemon takes no events. No failure leaves it."""
        pause_s = _FIRST_RETRY_S
        while True:
            taken = self._taken
            try:
                await asyncio.to_thread(self._spool.from_the_start)
                await self._send(stub)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    self._say("the daemon is of an older release, and takes no events: they are kept for a newer one")
                    return
                if error.code() is not grpc.StatusCode.UNAVAILABLE:  # of which the link tells
                    self._say(f"events are kept on this node: {error.details()}")
            except ProtocolError as error:
                self._say(f"the daemon does not take events as it should ({error}): upgrade the older side")
            except OSError as error:
                self._say(f"the spool of events cannot be read: {error}")
            if self._taken > taken:
                pause_s = _FIRST_RETRY_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LAST_RETRY_S)

    async def _send(self, stub: IdentifiedStub) -> None:
        """Send on one call, which is made when there is something to send, until it fails."""
        call: _Call | None = None
        loop, sent_at = asyncio.get_running_loop(), 0.0
        try:
            while True:
                self._filled.clear()
                batch = await asyncio.to_thread(self._next)
                if batch is None:
                    await self._filled.wait()
                    await asyncio.sleep(sent_at + _GATHER_S - loop.time())
                    continue
                call = call or stub.PushEvents(metadata=await stub.proof())
                await self._hand_over(call, batch)
                self._said = ""
                sent_at = loop.time()
                await asyncio.sleep(_PAUSE_S)
        finally:
            if call is not None:
                call.cancel()

    async def _hand_over(self, call: _Call, batch: agent_service_pb2.EventBatch) -> None:
        """Send one batch, and let go of it when the daemon's log has it."""
        try:
            await call.write(batch)
        except asyncio.InvalidStateError:
            pass  # the daemon has ended the call: reading tells why
        reply = await call.read()
        if not isinstance(reply, agent_service_pb2.EventsTaken):
            raise ProtocolError("it ended the call without a word")
        taken = from_proto(reply, EventsTaken)
        if taken.spool != batch.spool or taken.sequence < batch.events[-1].sequence:
            raise ProtocolError(f"told up to {batch.events[-1].sequence} it has events up to {taken.sequence}")
        await asyncio.to_thread(self._spool.taken, taken.spool, taken.sequence)
        self._taken += 1

    def _next(self) -> agent_service_pb2.EventBatch | None:
        batch = self._spool.batch(self._node)
        return to_proto(batch, agent_service_pb2.EventBatch) if batch is not None else None

    def _say(self, sentence: str) -> None:
        """Tell people once for as long as it lasts."""
        if sentence != self._said:
            _log.warning(sentence)
        self._said = sentence
