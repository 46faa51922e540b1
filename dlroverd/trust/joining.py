"""The host's side of joining and renewing: asks a daemon for a certificate, and knows that it is the right daemon.

Blocking: called by commands, and by the agent in a thread.
"""

import hashlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc

from dlroverd.protocol.channel import DAEMON_NAME, JOIN_PORT, AddressError, TlsFiles, host_port
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import trust_service_pb2 as pb
from dlroverd.protocol.v1.trust_service_pb2_grpc import JoinServiceStub
from dlroverd.trust.join_token import FINGERPRINT_LETTERS, Token
from dlroverd.trust.requests import key_at, make_request, replace_file

CALL_S = 20.0
# Where `dlroverctl setup daemon` has agents call.
DAEMON_PORT = 7700


@dataclass(frozen=True, slots=True)
class Joined:
    """What a host was given: PEM texts, and the addresses where its agent calls."""

    certificate: bytes
    ca: bytes
    daemon: tuple[str, ...]


def join_address(text: str) -> str:
    """Read HOST, HOST:PORT or tcp://HOST:PORT as people write where to join; AddressError."""
    bare = text.removeprefix("tcp://").rstrip("/")
    host, colon, port = bare.rpartition(":")
    is_ipv6 = bare.count(":") > 1 and not bare.startswith("[")
    if is_ipv6:
        bare = f"[{bare}]:{JOIN_PORT}"
    elif not colon or bare.endswith("]"):
        bare = f"{bare}:{JOIN_PORT}"
    elif not host or not port.isdigit():
        raise AddressError(f"{text!r} is no address; write the daemon's HOST or HOST:PORT (the port is {JOIN_PORT})")
    address = f"tcp://{bare}"
    host_port(address)
    return address


def join(address: str, token: Token, name: str, key: Path) -> Joined:
    """Have a certificate made for `name` and the key in a file, which is made if it is not there.

    Raises:
        CallError: nothing answers there, it is another fleet's daemon, or the token is refused.
        CertificateError: the key's file cannot be used.
    """
    ca = _authority_at(address, token.fingerprint)
    if not _lets_in(address, ca):  # the port of agents: its neighbour does
        host, _ = host_port(address)
        address = join_address(f"[{host}]" if ":" in host else host)
        ca = _authority_at(address, token.fingerprint)
    request = pb.EnrolRequest(
        token=token.id, secret=token.secret, name=name, request=make_request(key_at(key), name).decode()
    )
    return _called(address, grpc.ssl_channel_credentials(ca), "Enrol", request)


def renew(address: str, files: TlsFiles, name: str, *, lapsed: bool) -> None:
    """Have the certificate in a file renewed and put the new one in its place. The key stays.

    `lapsed`: it has ended, so it is shown as a text, and not to prove who calls.

    Raises:
        CallError: nothing answers there, or it is not renewed.
        OSError: a file cannot be read or written.
    """
    ca, own = Path(files.ca).read_bytes(), Path(files.certificate).read_bytes()
    key = key_at(Path(files.key))
    shown = grpc.ssl_channel_credentials(ca) if lapsed else _mutual(ca, own, Path(files.key).read_bytes())
    request = pb.RenewRequest(certificate=own.decode(), request=make_request(key, name).decode())
    got = _called(address, shown, "Renew", request)
    replace_file(Path(files.certificate), got.certificate, mode=0o644)


def _lets_in(address: str, ca: bytes) -> bool:
    """Tell whether hosts without a certificate are spoken with at an address, by asking for nothing."""
    host, port = host_port(address)
    context = ssl.create_default_context(cadata=ca.decode())
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), timeout=CALL_S) as plain,
            context.wrap_socket(plain, server_hostname=DAEMON_NAME) as wire,
        ):
            return bool(wire.recv(1))  # HTTP/2's first frame, which a server sends who takes the caller
    except OSError:
        return False


def _mutual(ca: bytes, own: bytes, key: bytes) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(ca, key, own)


def _called(address: str, credentials: grpc.ChannelCredentials, method: str, request: Any) -> Joined:
    host, port = host_port(address)
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    options = (("grpc.ssl_target_name_override", DAEMON_NAME), ("grpc.enable_http_proxy", 0))
    with grpc.secure_channel(target, credentials, options=options) as wire:
        # The generated stub is typed for the asyncio API alone; it serves both.
        stub: Any = JoinServiceStub(wire)  # type: ignore[arg-type] # its stubs know aio channels only
        try:
            reply = getattr(stub, method)(request, timeout=CALL_S)
        except grpc.RpcError as error:
            raise from_rpc(cast("Any", error), address) from None
    daemon = tuple(_at_host(each, host) for each in reply.daemon)
    return Joined(reply.certificate.encode(), reply.ca.encode(), daemon)


def _at_host(address: str, host: str) -> str:
    """Give an address for callers: one that names every host of the daemon's is at the one that was asked."""
    own, port = host_port(address)
    if own in ("0.0.0.0", "::"):
        own = host
    return f"tcp://[{own}]:{port}" if ":" in own else f"tcp://{own}:{port}"


def _authority_at(address: str, fingerprint: str) -> bytes:
    """Give the authority's certificate (PEM) that a daemon shows, if it has that fingerprint.

    Nothing is believed and nothing said before that: what is taken from the handshake is its digest.
    """
    host, port = host_port(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host, port), timeout=CALL_S) as plain,
            context.wrap_socket(plain, server_hostname=DAEMON_NAME) as wire,
        ):
            shown = [_der(each) for each in _chain(wire)]
    except ssl.SSLError as error:
        raise CallError(
            Reason.UNAVAILABLE,
            f"{address} does not let in hosts that have no certificate: name the daemon's join address, whose port is "
            f"{JOIN_PORT} unless `join_listen` in its configuration says otherwise.",
        ) from error
    except OSError as error:
        raise CallError(
            Reason.UNAVAILABLE,
            f"Nothing answers at {address} ({error.strerror or error}): see that dlroverd runs there with a `ca_key`, "
            "and that no firewall is between.",
        ) from error
    for der in shown:
        if hashlib.sha256(der).hexdigest()[:FINGERPRINT_LETTERS] == fingerprint:
            return ssl.DER_cert_to_PEM_cert(der).encode()
    found = hashlib.sha256(shown[-1]).hexdigest()[:FINGERPRINT_LETTERS] if shown else "none"
    raise CallError(
        Reason.FORBIDDEN,
        f"The token is for another fleet: its authority is {fingerprint}, and the one at {address} is {found}. "
        "Have a token made there, or name the address of the fleet that the token is for.",
    )


def _chain(wire: ssl.SSLSocket) -> list[Any]:
    """Give the certificates that a server showed. Public from Python 3.13 on; there under the same name before."""
    public = getattr(wire, "get_unverified_chain", None)
    if public is None:
        public = cast("Any", wire)._sslobj.get_unverified_chain  # noqa: SLF001 - see above
    return list(public() or ())


def _der(shown: Any) -> bytes:
    """Give a certificate of a chain as bytes: Python 3.13 does, those before give objects."""
    return shown if isinstance(shown, bytes) else ssl.PEM_cert_to_DER_cert(shown.public_bytes())
