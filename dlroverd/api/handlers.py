"""How interceptors put something around a call's handler, whatever kind of call it is."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

Wrap = Callable[[Callable[..., Any], str], Callable[..., Any]]


async def rewrap(
    continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
    details: grpc.HandlerCallDetails,
    single: Wrap,
    streaming: Wrap,
) -> Any:
    """Give a call's handler with `single` or `streaming` around it; gRPC itself refuses a call that has none."""
    handler = await continuation(details)
    if handler is None:
        return None
    for kind in _KINDS:
        behaviour = getattr(handler, kind)
        if behaviour is not None:
            wrap = streaming if handler.response_streaming else single
            make = getattr(grpc, f"{kind}_rpc_method_handler")
            return make(
                wrap(behaviour, details.method),
                handler.request_deserializer,
                handler.response_serializer,
            )
    return handler
