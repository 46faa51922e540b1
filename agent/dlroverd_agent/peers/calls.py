"""What this agent asks those of other nodes. Who answers is believed only if the certificate names the node meant."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc.aio

from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.model.world import Peer
from dlroverd.protocol import channel
from dlroverd.protocol.channel import TlsFiles
from dlroverd.protocol.convert import ProtocolError, from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import common_pb2
from dlroverd.protocol.v1 import peer_service_pb2 as pb
from dlroverd.protocol.v1.peer_service_pb2_grpc import PeerServiceStub
from dlroverd_agent.peers.service import RoundsReply
from dlroverd_agent.preflight.code import Code

CALL_S = 2.0
# Over the limit of the probe, which is what its answer waits for.
CODE_S = 25.0
# The agent that is called may hear of a world a moment later than the one that calls.
LATE_S = 5.0
RETRY_S = 0.1
# Once one address answered, others of the same agent are as good as silent.
SETTLE_S = 0.5

T = TypeVar("T")


class PeerCaller:
    """Calls agents of other nodes, each time on a connection of its own: an old one says nothing of the network now."""

    def __init__(self, tls: TlsFiles | None) -> None:
        self._tls = tls

    async def answers(self, peer: Peer) -> bool:
        """Call an agent at all its addresses, once; whether it answers at any. AddressError as `channel.connect`."""
        return await self._first(peer, _call) is not None

    async def rounds(self, peer: Peer, gangs: tuple[GangKey, ...]) -> RoundsReply | None:
        """Ask what an agent knows of gangs; None if it does not answer. AddressError as `channel.connect`."""

        async def ask(stub: PeerServiceStub) -> RoundsReply:
            request = pb.RoundsRequest(gangs=[to_proto(each, pb.GangKey) for each in gangs])
            return from_proto(await stub.Rounds(request, timeout=CALL_S), RoundsReply)

        return await self._first(peer, ask)

    async def reached(self, peer: Peer) -> tuple[str, ...]:
        """Find the addresses at which an agent answers. AddressError as `channel.connect`.

        Those that do not are tried again for a while, as the agent may be just starting.
        """
        tries = {address: asyncio.create_task(self._until_answered(peer, address)) for address in peer.addresses}
        try:
            if tries:
                await asyncio.wait(tries.values(), timeout=LATE_S, return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait(tries.values(), timeout=SETTLE_S)
            for task in tries.values():
                if task.done():
                    task.result()
            return tuple(address for address, task in tries.items() if task.done())
        finally:
            await _cancel(*tries.values())

    async def code(self, peer: Peer, address: str, round_: RoundKey) -> Code:
        """Ask an agent which code the ranks of a round would run on its node.

        Raises:
            CallError: it does not say; REFUSED: they cannot run there.
            AddressError: as `channel.connect`.
        """
        late_at = asyncio.get_running_loop().time() + LATE_S
        request = pb.CodeRequest(round=to_proto(round_, common_pb2.RoundKey))
        while True:
            try:
                async with self._stub(peer, address) as stub:
                    return from_proto((await stub.Code(request, timeout=CODE_S)).code, Code)
            except ProtocolError as error:
                raise CallError(Reason.INVALID, f"its agent breaks the protocol ({error})") from error
            except grpc.aio.AioRpcError as error:
                reason = from_rpc(error, address).reason
                if reason is not Reason.NOT_FOUND or asyncio.get_running_loop().time() > late_at:
                    sentence = f"its agent, called at {address}, did not say ({reason})"
                    raise CallError(reason, sentence) from error
            await asyncio.sleep(RETRY_S)

    async def _until_answered(self, peer: Peer, address: str) -> None:
        while True:
            if await self._ask(peer, address, _call) is not None:
                return
            await asyncio.sleep(RETRY_S)

    async def _first(self, peer: Peer, ask: Callable[[PeerServiceStub], Awaitable[T]]) -> T | None:
        """Ask at all addresses at once; the first answer, None if there is none."""
        tries = [asyncio.create_task(self._ask(peer, address, ask)) for address in peer.addresses]
        try:
            for task in asyncio.as_completed(tries):
                if (answer := await task) is not None:
                    return answer
            return None
        finally:
            await _cancel(*tries)

    async def _ask(self, peer: Peer, address: str, ask: Callable[[PeerServiceStub], Awaitable[T]]) -> T | None:
        try:
            async with self._stub(peer, address) as stub:
                return await ask(stub)
        except (grpc.aio.AioRpcError, ProtocolError):
            return None

    @asynccontextmanager
    async def _stub(self, peer: Peer, address: str) -> AsyncIterator[PeerServiceStub]:
        host = f"[{address}]" if ":" in address else address
        async with channel.connect(f"tcp://{host}:{peer.port}", self._tls, peer.node) as wire:
            yield PeerServiceStub(wire)


async def _call(stub: PeerServiceStub) -> pb.CallReply:
    return await stub.Call(pb.CallRequest(), timeout=CALL_S)


async def _cancel(*tasks: "asyncio.Task[T]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
