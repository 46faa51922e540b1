"""Who calls by the certificate of a login host, which vouches for its users."""

import functools
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio

from dlroverd.api import standing
from dlroverd.api.authorisation import LocalCallers
from dlroverd.model.roles import Caller, Role
from dlroverd.model.trust import CertificateKind
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.vouching import METADATA_KEY, vouched
from dlroverd.runtime.runtime import Runtime
from dlroverd.trust.identity import Identities

Context = grpc.aio.ServicerContext[Any, Any]

_OF_USERS = "/dlroverd.protocol.v1.ControlService/"


class NetworkCallers(LocalCallers):
    """Lets in users of login hosts, to what their roles allow; what hosts call for themselves is none of its business.

    A login host's word makes nobody more than a user of the fleet: whoever is root there can be any of its users.
    """

    def __init__(self, identities: Identities, runtime: Runtime) -> None:
        """Take the roles of users from `identities`."""
        super().__init__(identities, runtime.owner_of, None)
        self._runtime = runtime

    def _streaming(
        self, behaviour: Callable[..., AsyncIterator[Any]], method: str
    ) -> Callable[..., AsyncIterator[Any]]:
        """A stream ends with the standing of its host's certificate."""
        let_in = super()._streaming(behaviour, method)
        if not method.startswith(_OF_USERS):
            return behaviour

        @functools.wraps(behaviour)
        async def call(request: Any, context: Context) -> AsyncIterator[Any]:
            seen = standing.shown(context)
            async for reply in let_in(request, context):
                standing.check(self._runtime.state, seen)
                yield reply

        return call

    def _let_in(self, method: str, request: Any, context: Context) -> None:
        if method.startswith(_OF_USERS):
            super()._let_in(method, request, context)

    def _known(self, context: Context) -> Caller:
        seen = standing.shown(context)
        standing.check(self._runtime.state, seen)
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
