"""Who calls, and whether they may: known before a call's method sees it, from the transport and never the request."""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import grpc
import grpc.aio

from dlroverd.api import permissions
from dlroverd.api.handlers import rewrap
from dlroverd.model.roles import Caller
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.identity import METADATA_KEY
from dlroverd.trust.identity import Identities

Context = grpc.aio.ServicerContext[Any, Any]

_CALLER: ContextVar[Caller] = ContextVar("caller")


def caller() -> Caller:
    """Tell who makes the call that is being served."""
    return _CALLER.get()


class LocalCallers(grpc.aio.ServerInterceptor):
    """Lets in who calls on this host's unix sockets, to what their roles allow."""

    def __init__(
        self, identities: Identities, owner_of: Callable[[int], int | None], nobody_else: Caller | None
    ) -> None:
        """`owner_of` gives the uid whose job a number is; `nobody_else` whoever comes without a token must be, if any.

        A socket's folder that is one user's alone proves as much as a token.
        """
        self._identities = identities
        self._owner_of = owner_of
        self._nobody_else = nobody_else

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Have a call's method run only for those who may call it."""
        return await rewrap(continuation, handler_call_details, self._single, self._streaming)

    def _single(self, behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(behaviour)
        async def call(request: Any, context: Context) -> Any:
            self._let_in(method, request, context)
            return await behaviour(request, context)

        return call

    def _streaming(
        self, behaviour: Callable[..., AsyncIterator[Any]], method: str
    ) -> Callable[..., AsyncIterator[Any]]:
        @functools.wraps(behaviour)
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            self._let_in(method, request, context)
            async for reply in behaviour(request, context):
                yield reply

        return call

    def _let_in(self, method: str, request: Any, context: Context) -> None:
        known = self._known(context)
        job = getattr(request, "job", 0)
        permissions.check(known, method, request, self._owner_of(job) if job else None)
        _CALLER.set(known)

    def _known(self, context: Context) -> Caller:
        for key, value in context.invocation_metadata() or ():
            if key == METADATA_KEY:
                return self._identities.read(value if isinstance(value, str) else value.decode("ascii", "replace"))
        if self._nobody_else is None:
            raise CallError(
                Reason.FORBIDDEN,
                "The call does not say who makes it: use a dlroverctl or dlroverd.client of this daemon's version.",
            )
        return self._nobody_else
