"""What hosts call that want a certificate: by a token, or by the one that they have."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import grpc.aio
from cryptography import x509

from dlroverd.api import standing
from dlroverd.config.trust import TrustConfig
from dlroverd.model import trust_input as inp
from dlroverd.model.trust import Certified, holder
from dlroverd.protocol.channel import DAEMON_NAME
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.v1 import trust_service_pb2 as pb
from dlroverd.protocol.v1.trust_service_pb2_grpc import JoinServiceServicer
from dlroverd.runtime.runtime import Runtime
from dlroverd.trust.authority import Authority, RequestError, name_problem, requested_key_sha256
from dlroverd.trust.join_token import secret_sha256
from dlroverd.trust.requests import key_sha256

Context = grpc.aio.ServicerContext[Any, Any]
_LONGEST = 16384
_NONE = (
    "This daemon issues no certificates: set `ca_key` under `tls` in its configuration, or have one issued elsewhere."
)


class JoinService(JoinServiceServicer):
    """Issues certificates, if this daemon has an authority's key. `agents` are the addresses where agents call."""

    def __init__(
        self, runtime: Runtime, authority: Authority | None, lives: TrustConfig, agents: Sequence[str]
    ) -> None:
        self._runtime = runtime
        self._authority = authority
        self._lives = lives
        self._agents = agents

    async def Enrol(self, request: pb.EnrolRequest, context: Context) -> pb.JoinReply:
        """See the proto."""
        if problem := name_problem(request.name):
            raise CallError(Reason.INVALID, f"{request.name!r:.300} cannot be a host's name here: {problem}.")
        shown = inp.Enrol(
            token=request.token,
            secret_sha256=_digest(request.secret),
            name=request.name,
            key_sha256=_key(request.request),
        )
        self._issuer()
        await self._runtime.ask(shown)
        token = self._runtime.state.tokens[request.token]
        seen = standing.Shown(request.name, token.kind)
        return await self._issue(seen, request.request, self._known(seen))

    async def Renew(self, request: pb.RenewRequest, context: Context) -> pb.JoinReply:
        """See the proto."""
        authority = self._issuer()
        try:
            old = x509.load_pem_x509_certificate(request.certificate[:_LONGEST].encode())
        except ValueError as error:
            raise CallError(Reason.INVALID, "The request holds no certificate; send the one to renew.") from error
        if not authority.issued(old):
            raise CallError(
                Reason.FORBIDDEN, "The certificate is not of this fleet's authority: let the host join with a token."
            )
        if key_sha256(old.public_key()) != _key(request.request):
            raise CallError(Reason.FORBIDDEN, "The request is not for the key of the certificate that it renews.")
        seen = standing.of_certificate(_name(old), old)
        standing.check(self._runtime.state, seen)
        late_s = time.time() - seen.ends_at
        if late_s > self._lives.renewal_grace:
            raise CallError(
                Reason.FORBIDDEN,
                f"The certificate of {seen.name} ended {late_s / 86400:.0f} days ago, and may be renewed for "
                f"{self._lives.renewal_grace / 86400:g} (renewal_grace): let the host join with a new token.",
            )
        reply = await self._issue(seen, request.request, self._known(seen))
        now = time.time()
        renewed = holder(seen.kind, seen.name)
        self._runtime.sessions.certificates.shown(renewed, now, now + self._lives.certificate_life)
        return reply

    async def _issue(self, seen: standing.Shown, request: str, known: Certified) -> pb.JoinReply:
        authority = self._issuer()
        try:
            pem = await asyncio.to_thread(
                authority.issue,
                request.encode(),
                seen.name,
                life_s=self._lives.certificate_life,
                kind=seen.kind,
                after=known.valid_after,
            )
        except RequestError as error:
            raise CallError(Reason.INVALID, str(error)) from error
        return pb.JoinReply(certificate=pem.decode(), ca=authority.pem.decode(), daemon=self._agents)

    def _known(self, seen: standing.Shown) -> Certified:
        return self._runtime.state.certified.get(holder(seen.kind, seen.name), Certified())

    def _issuer(self) -> Authority:
        if self._authority is None:
            raise CallError(Reason.REFUSED, _NONE)
        return self._authority


def _name(issued: x509.Certificate) -> str:
    """Give the one host name that our authority wrote into a certificate."""
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    name, *others = names.get_values_for_type(x509.DNSName)
    if name == DAEMON_NAME or others:
        raise CallError(Reason.FORBIDDEN, "The daemon renews its own certificate itself.")
    return name


def _digest(secret: str) -> str:
    try:
        return secret_sha256(secret[:_LONGEST])
    except ValueError as error:
        raise CallError(Reason.INVALID, "The token's secret is not in hexadecimal digits.") from error


def _key(request: str) -> str:
    try:
        return requested_key_sha256(request[:_LONGEST].encode())
    except RequestError as error:
        raise CallError(Reason.INVALID, str(error)) from error
