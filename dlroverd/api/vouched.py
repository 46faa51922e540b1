"""Who calls over the network: an agent by its certificate, or a user of a login host whose certificate vouches."""

from collections.abc import Callable
from typing import Any

import grpc.aio

from dlroverd.api.authorisation import LocalCallers
from dlroverd.model.roles import Caller, Role
from dlroverd.protocol.channel import LOGIN_MARK, peer_host, peer_name
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.vouching import METADATA_KEY, vouched
from dlroverd.trust.identity import Identities

Context = grpc.aio.ServicerContext[Any, Any]

_AGENTS = "/dlroverd.protocol.v1.AgentService/"


class NetworkCallers(LocalCallers):
    """Lets agents call what is theirs, and login hosts the rest, for their users.

    A login host's word makes nobody more than a user of the fleet: whoever is root there can be any of its users.
    """

    def __init__(self, identities: Identities, owner_of: Callable[[int], int | None]) -> None:
        """Take the roles of users from `identities`."""
        super().__init__(identities, owner_of, None)

    def _let_in(self, method: str, request: Any, context: Context) -> None:
        if not method.startswith(_AGENTS):
            super()._let_in(method, request, context)
        elif _is_login(context):
            raise CallError(Reason.FORBIDDEN, f"{peer_name(context)} is a login host, and no node: it has no agent.")

    def _known(self, context: Context) -> Caller:
        if not _is_login(context):
            raise CallError(
                Reason.FORBIDDEN,
                f"The certificate of the caller at {peer_host(context)} is a node's, which has no users: call on the "
                "daemon's host, or make this host a login host (`dlroverctl setup login`).",
            )
        found = dict(context.invocation_metadata() or ()).get(METADATA_KEY, "")
        user = vouched(found if isinstance(found, str) else found.decode("ascii", "replace"))
        if user is None:
            raise CallError(Reason.INVALID, "The login host does not say for whom it calls: upgrade dlroverctl there.")
        if user.uid <= 0:
            raise CallError(
                Reason.FORBIDDEN,
                f"Root of the login host {peer_name(context)} is nobody to the fleet: call as a user, or on the "
                "daemon's host.",
            )
        known = self._identities.of(user.name, user.gids)
        return Caller(uid=user.uid, name=user.name, role=min(known, Role.USER), gids=user.gids, via=peer_name(context))


def _is_login(context: Context) -> bool:
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return LOGIN_MARK.encode() in names
