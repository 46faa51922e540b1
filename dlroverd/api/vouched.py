"""Who calls by a certificate: a node for itself, or a login host, which vouches for its users."""

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc.aio

from dlroverd.api import standing
from dlroverd.api.authorisation import LocalCallers
from dlroverd.model.roles import Caller, Role
from dlroverd.model.trust import CertificateKind, holder
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.vouching import METADATA_KEY, vouched
from dlroverd.runtime.live_calls import LiveCall
from dlroverd.runtime.runtime import Runtime
from dlroverd.trust.identity import Identities

Context = grpc.aio.ServicerContext[Any, Any]

_OF_USERS = "/dlroverd.protocol.v1.ControlService/"
_TO_JOIN = "/dlroverd.protocol.v1.JoinService/"


class NetworkCallers(LocalCallers):
    """Lets in whose certificate counts, for as long as it does; users of login hosts, to what their roles allow.

    A login host's word makes nobody more than a user of the fleet: whoever is root there can be any of its users.
    """

    def __init__(self, identities: Identities, runtime: Runtime) -> None:
        """Take the roles of users from `identities`."""
        super().__init__(identities, runtime.owner_of, None)
        self._runtime = runtime

    def _single(self, behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
        let_in = super()._single(behaviour, method)
        if method.startswith(_TO_JOIN):  # which sees for itself whom it renews
            return let_in

        @functools.wraps(behaviour)
        async def call(request: Any, context: Context) -> Any:
            with self._while_it_counts(context):
                return await let_in(request, context)

        return call

    def _streaming(
        self, behaviour: Callable[..., AsyncIterator[Any]], method: str
    ) -> Callable[..., AsyncIterator[Any]]:
        let_in = super()._streaming(behaviour, method)

        @functools.wraps(behaviour)
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            with self._while_it_counts(context) as (live, seen):
                async for reply in let_in(request, context):
                    with live.sending():
                        yield reply
                    standing.check(self._runtime.state, seen)

        return call

    @contextmanager
    def _while_it_counts(self, context: Context) -> Iterator[tuple[LiveCall, standing.Shown]]:
        """Serve a call for as long as its caller's certificate counts; its end comes as a cancellation."""
        seen = standing.shown(context)
        with self._runtime.live_calls.serving(holder(seen.kind, seen.name)) as live:
            standing.check(self._runtime.state, seen)
            try:
                yield live, seen
            except asyncio.CancelledError:
                standing.check(self._runtime.state, seen)
                raise

    def _let_in(self, method: str, request: Any, context: Context) -> None:
        if method.startswith(_OF_USERS):
            super()._let_in(method, request, context)

    def _known(self, context: Context) -> Caller:
        seen = standing.shown(context)
        if seen.kind is not CertificateKind.LOGIN:
            raise CallError(
                Reason.FORBIDDEN,
                f"{seen.name} is a node, which has no users: call on the daemon's host, or on a login host "
                "(`dlroverctl setup login`).",
            )
        found = dict(context.invocation_metadata() or ()).get(METADATA_KEY, "")
        user = vouched(found if isinstance(found, str) else found.decode("ascii", "replace"))
        if user is None:
            raise CallError(Reason.INVALID, "The login host does not say for whom it calls: upgrade dlroverctl there.")
        if user.uid <= 0:
            raise CallError(
                Reason.FORBIDDEN,
                f"Root of the login host {seen.name} is nobody to the fleet: call as a user, or on the daemon's host.",
            )
        role = min(self._identities.of(user.name, user.gids), Role.USER)
        return Caller(uid=user.uid, name=user.name, role=role, gids=user.gids, via=seen.name)
