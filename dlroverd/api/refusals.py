"""How what goes wrong in a call reaches its client: a status, a sentence, a reason code."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import structlog

from dlroverd.api.handlers import rewrap
from dlroverd.protocol.convert import ProtocolError
from dlroverd.protocol.errors import CallError, Reason, abort

_LOG = structlog.get_logger("dlroverd.api")


class Refusals(grpc.aio.ServerInterceptor):
    """Ends a call that raised with what `dlroverd.protocol.errors.from_rpc` understands."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap a call's handler; gRPC itself refuses a call that has none."""
        return await rewrap(continuation, handler_call_details, _single, _streaming)


def _single(behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(behaviour)
    async def call(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
        try:
            return await behaviour(request, context)
        except Exception as error:  # noqa: BLE001 - the one place where a call's failure becomes its status
            await abort(context, _explain(error, method))

    return call


def _streaming(behaviour: Callable[..., AsyncIterator[Any]], method: str) -> Callable[..., AsyncIterator[Any]]:
    @functools.wraps(behaviour)
    async def call(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> AsyncIterator[Any]:
        try:
            async for reply in behaviour(request, context):
                yield reply
        except Exception as error:  # noqa: BLE001 - see _single
            await abort(context, _explain(error, method))

    return call


def _explain(error: Exception, method: str) -> CallError:
    match error:
        case CallError():
            return error
        case ProtocolError():
            return CallError(Reason.INVALID, f"The request breaks the protocol: {error}.")
    _LOG.error("a call failed", method=method, exc_info=error)
    return CallError(Reason.INTERNAL, "The daemon failed on this call; its log says more. Please report it.")
