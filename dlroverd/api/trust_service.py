"""What people call about join tokens and certificates. Thin; what is let in is the core's to say."""

import re
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from dlroverd.api.authorisation import caller
from dlroverd.core.state import State
from dlroverd.model import trust_input as inp
from dlroverd.model.trust import CertificateKind, JoinToken, TokenView
from dlroverd.protocol.convert import to_proto
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.v1 import trust_service_pb2 as pb
from dlroverd.protocol.v1.trust_service_pb2_grpc import TrustServiceServicer
from dlroverd.runtime.runtime import Runtime
from dlroverd.trust.authority import Authority

Context = grpc.aio.ServicerContext[Any, Any]
_MOST_USES = 100_000
_LONGEST_TTL_S = 30 * 86400.0
_LONGEST_ID = 64
_DIGEST = re.compile("[0-9a-f]{64}")


class TrustService(TrustServiceServicer):
    """Serves one runtime. `authority` is whose fingerprint tokens have; `join` where hosts join, "" if nowhere."""

    def __init__(self, runtime: Runtime, authority: Authority | None, join: str) -> None:
        self._runtime = runtime
        self._authority = authority
        self._join = join

    async def GetAuthority(self, request: pb.GetAuthorityRequest, context: Context) -> pb.AuthorityView:
        """See the proto."""
        if self._authority is None or not self._join:
            raise CallError(
                Reason.REFUSED,
                "No host can join by a token here: set `ca_key` under `tls`, and a tcp:// address under `listen`, in "
                "dlroverd.yaml (`dlroverctl setup daemon` does), or give hosts certificates from files.",
            )
        return pb.AuthorityView(fingerprint=self._authority.fingerprint, join=[self._join])

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Context) -> pb.CreateTokenReply:
        """See the proto."""
        if not 1 <= request.uses <= _MOST_USES:
            raise CallError(Reason.INVALID, f"A token is good for 1 to {_MOST_USES} hosts, not {request.uses}.")
        if not 0 < request.ttl_s <= _LONGEST_TTL_S:
            raise CallError(
                Reason.INVALID, f"A token lives up to {_LONGEST_TTL_S / 86400:g} days, not {request.ttl_s:g} s."
            )
        if not _DIGEST.fullmatch(request.secret_sha256) or not 0 < len(request.id) <= _LONGEST_ID:
            raise CallError(Reason.INVALID, "A token needs an id of up to 64 characters, and a digest of its secret.")
        if request.kind not in {each.value for each in CertificateKind}:
            raise CallError(Reason.INVALID, f"A token is for a node or a login host, not {request.kind!r:.80}.")
        await self._runtime.ask(
            inp.CreateToken(
                id=request.id,
                kind=CertificateKind(request.kind),
                secret_sha256=request.secret_sha256,
                uses=request.uses,
                ttl_s=request.ttl_s,
                actor=caller().name,
            )
        )
        return pb.CreateTokenReply()

    async def ListTokens(self, request: pb.ListTokensRequest, context: Context) -> AsyncIterator[pb.TokenView]:
        """See the proto."""
        now = self._runtime.clock.now()

        def at(state: State) -> list[TokenView]:
            return [_view(token, now) for token in sorted(state.tokens.values(), key=lambda each: each.created_at)]

        for view in await self._runtime.loop.look(at):
            yield to_proto(view, pb.TokenView)

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Context) -> pb.RevokeTokenReply:
        """See the proto."""
        await self._runtime.ask(inp.RevokeToken(token=request.token, actor=caller().name))
        return pb.RevokeTokenReply()

    async def RevokeCertificates(
        self, request: pb.RevokeCertificatesRequest, context: Context
    ) -> pb.RevokeCertificatesReply:
        """See the proto."""
        await self._runtime.ask(
            inp.RevokeCertificates(name=request.name, actor=caller().name, reason=request.reason[:500])
        )
        return pb.RevokeCertificatesReply()


def _view(token: JoinToken, now: float) -> TokenView:
    if token.revoked_by:
        state = "revoked"
    elif len(token.joined) >= token.uses:
        state = "used up"
    else:
        state = "expired" if now >= token.expires_at else "valid"
    return TokenView(
        id=token.id,
        kind=token.kind.value,
        state=state,
        uses=token.uses,
        joined=token.joined,
        created_at=token.created_at,
        expires_at=token.expires_at,
        actor=token.actor,
    )
