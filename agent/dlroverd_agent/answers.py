"""What the daemon asked for, on calls of their own beside the session: output and stacks of ranks."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

import grpc.aio
import structlog

from dlroverd.protocol.convert import to_proto
from dlroverd.protocol.identity import IdentifiedStub
from dlroverd.protocol.messages import LOG_PIECE, LogPiece, LogRequest, StackRequest, Stacks
from dlroverd.protocol.v1 import agent_service_pb2

_log = structlog.get_logger()


class Sources(Protocol):
    """Where the answers come from."""

    def logs(self, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """Give the output that is asked for."""
        ...

    async def stacks(self, request: StackRequest) -> Stacks:
        """Give the stacks that are asked for; it takes seconds."""
        ...


async def answer(stub: IdentifiedStub, sources: Sources, request: LogRequest | StackRequest) -> None:
    """Answer one request, until the answer is complete or nobody reads it any more."""
    if isinstance(request, LogRequest):
        await _push_logs(stub, sources, request)
    else:
        await _push_stacks(stub, sources, request)


async def _push_stacks(stub: IdentifiedStub, sources: Sources, request: StackRequest) -> None:
    try:
        stacks = to_proto(await sources.stacks(request), agent_service_pb2.Stacks)
        await stub.PushStacks(stacks, metadata=await stub.proof())
    except grpc.aio.AioRpcError as error:
        _log.debug("stacks were not taken", id=request.id, error=error.details())


async def _push_logs(stub: IdentifiedStub, sources: Sources, request: LogRequest) -> None:
    call = stub.PushLogs(metadata=await stub.proof())

    async def write() -> None:
        try:
            async with contextlib.aclosing(sources.logs(request)) as pieces:
                async for piece in pieces:
                    await call.write(LOG_PIECE.wrap(piece))
            await call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # the daemon ended the call: nobody reads any more

    writing = asyncio.create_task(write())
    ending = asyncio.create_task(call.code())
    try:
        await asyncio.wait({writing, ending}, return_when=asyncio.FIRST_COMPLETED)
        if writing.done():
            code = await ending
            _log.debug("output sent", stream=request.stream_id, end=code.name)
    finally:
        writing.cancel()
        ending.cancel()
        call.cancel()
        await asyncio.gather(writing, ending, return_exceptions=True)
