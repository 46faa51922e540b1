"""Whether a caller's certificate still counts. That it is the authority's and in its time gRPC has seen before."""

from dataclasses import dataclass
from typing import Any

import grpc.aio
from cryptography import x509

from dlroverd.core.state import State
from dlroverd.model.trust import CertificateKind, holder
from dlroverd.protocol import channel
from dlroverd.protocol.channel import LOGIN_MARK
from dlroverd.protocol.errors import CallError, Reason


@dataclass(frozen=True, slots=True)
class Shown:
    """What a caller's certificate says: `begins_at` and `ends_at` in seconds since 1970. `name` "" on a unix socket."""

    name: str
    kind: CertificateKind = CertificateKind.NODE
    begins_at: float = 0.0
    ends_at: float = 0.0


def shown(context: "grpc.aio.ServicerContext[Any, Any]") -> Shown:
    """Read the certificate of a call. CallError as `channel.peer_name`."""
    name = channel.peer_name(context)
    if not name:
        return Shown("")
    (pem,) = context.auth_context()["x509_pem_cert"]
    return of_certificate(name, x509.load_pem_x509_certificate(pem))


def of_certificate(name: str, certificate: x509.Certificate) -> Shown:
    """Read what counts of a certificate that is for `name`."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        marked = LOGIN_MARK in names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        marked = False
    return Shown(
        name,
        CertificateKind.LOGIN if marked else CertificateKind.NODE,
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
    )


def check(state: State, seen: Shown) -> None:
    """Refuse who shows a certificate that counts no more.

    Raises:
        CallError: it was revoked, or another host has joined under its name since.
    """
    known = state.certified.get(holder(seen.kind, seen.name)) if seen.name else None
    if known is None or seen.begins_at > known.valid_after or not known.valid_after:
        return
    if known.revoked_by:
        why = f" ({known.reason})" if known.reason else ""
        sentence = f"The certificates of {seen.name} were revoked by {known.revoked_by}{why}"
    else:
        sentence = f"Another host has joined as {seen.name} since this certificate was issued"
    raise CallError(
        Reason.FORBIDDEN,
        f"{sentence}: to have this host in the fleet, let it join with a new token (`dlroverctl token create`).",
    )


def check_node(seen: Shown) -> None:
    """Refuse who is let in, but not as a node."""
    if seen.kind is not CertificateKind.NODE:
        raise CallError(
            Reason.FORBIDDEN, f"{seen.name} is a login host and no node: let it join as one to run an agent there."
        )
