"""Addresses, and the gRPC channels and servers on them, with the same options on both sides.

`unix:///path` is a socket file; `tcp://HOST:PORT` is always mutual TLS, on loopback too: both sides show a certificate
of the one authority, and who is who is read from it (`peer_name`).
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, unquote, urlsplit

import grpc
import grpc.aio

from dlroverd.protocol.errors import CallError, Reason

# What the daemon's certificate names, whatever host it runs on.
DAEMON_NAME = "dlroverd"
# Where hosts join, unless the daemon is told otherwise.
JOIN_PORT = 7701
# What the certificate of a login host has besides: it vouches for its users, and is no node.
LOGIN_MARK = "dlroverd:login"
# sockaddr_un.sun_path is 108 bytes with its terminating zero (unix(7)).
SOCKET_PATH_LIMIT_BYTES = 107
MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024

# Keepalive only clears away connections that are dead for certain; that a node is silent is judged by its beats (DESIGN
# section 5). An agent, which gets no beats, learns by its timeout that the way to the daemon is cut: it is TCP's limit
# for unacknowledged data too, and a beat goes out each second (a fifth of `unreachable_after`, up to 5 s). The time is
# the shortest that older daemons bear.
#
# The probe pings the other side whenever something comes in, to learn how large a window a fast and long way needs.
# Messages of a few bytes cost a third more by it, on both sides; 64 KiB on their way are enough within a fleet.
_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.bdp_probe", 0),
)
_CHANNEL_OPTIONS = (
    *_OPTIONS,
    # Without the back-off's bounds a client would find a daemon that was restarted only after up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A proxy in the environment is for the web; between the hosts of a fleet there is none.
    ("grpc.enable_http_proxy", 0),
    ("grpc.service_config_disable_resolution", 1),
)
_SERVER_OPTIONS = (
    *_OPTIONS,
    # The server's own limit is one ping in five minutes; a client that keeps to ours must not be sent away for it.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # With it a second server would share the port of the first, and get some of its callers.
    ("grpc.so_reuseport", 0),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Paths of PEM files: the authority's certificates, this side's own certificate, and its private key."""

    ca: str
    certificate: str
    key: str


class AddressError(ValueError):
    """An address that cannot be listened on or called; says what to write or do instead."""


def is_tcp(address: str) -> bool:
    """Tell a `tcp:` address from others."""
    return address.startswith("tcp:")


def check_address(address: str) -> None:
    """Raise AddressError unless `address` is one of the two kinds, well written."""
    if is_tcp(address):
        host_port(address)
    else:
        socket_path(address)


def host_port(address: str) -> tuple[str, int]:
    """Give host (an IPv6 address without its brackets) and port of `tcp://HOST:PORT`; AddressError for all else."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
        plain = host is not None and parts.netloc == f"{f'[{host}]' if ':' in host else host}:{port}"
    except ValueError:  # of the brackets, or of the port
        plain = False
        host = port = None
    if not host or not port or not plain or address != f"tcp://{parts.netloc}":
        raise AddressError(
            f"{address!r} is no address; write tcp://HOST:PORT (in lower case, an IPv6 address in brackets), "
            "like tcp://gpu00:7700 or tcp://[::]:7700"
        )
    return host, port


def socket_path(address: str) -> str:
    """Give the path in `unix:///path` (or `unix:/path`); AddressError for everything else."""
    if is_tcp(address):
        raise AddressError(f"{address}: over TCP only agents are served; use unix:///path on the daemon's own host.")
    scheme, _, rest = address.partition(":")
    path = rest.removeprefix("//")
    if scheme != "unix" or not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise AddressError(
            f"{address!r} is no address; write unix:// and an absolute path, like unix:///run/dlroverd/s"
        )
    if (size := len(os.fsencode(path))) > SOCKET_PATH_LIMIT_BYTES:
        raise AddressError(
            f"{path}: a socket's path may have {SOCKET_PATH_LIMIT_BYTES} bytes, this has {size}; choose a shorter one."
        )
    return path


def connect(address: str, tls: TlsFiles | None = None, name: str = "") -> grpc.aio.Channel:
    """Make a channel, which connects at its first call; needs a running loop.

    Over TCP it shows the certificate of `tls`, and takes only a server whose own names `name`, or the host in
    `address` if that is "". The three small files are read at each call, so that renewed ones count from then on.

    Raises:
        AddressError: it is no address, is TCP without `tls`, or a file cannot be read.
    """
    if not is_tcp(address):
        return grpc.aio.insecure_channel(_target(address), options=_CHANNEL_OPTIONS)
    ca, certificate, key = _read(address, tls)
    options = (*_CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name)) if name else _CHANNEL_OPTIONS
    credentials = grpc.ssl_channel_credentials(ca, key, certificate)
    return grpc.aio.secure_channel(_target(address), credentials, options=options)


def connect_blocking(address: str) -> grpc.Channel:
    """Make a channel of gRPC's blocking API, to a unix socket; it connects at its first call.

    AddressError as `socket_path`.
    """
    socket_path(address)
    return grpc.insecure_channel(_target(address), options=_CHANNEL_OPTIONS)


def new_server(*interceptors: grpc.aio.ServerInterceptor, most_calls: int | None = None) -> grpc.aio.Server:
    """Make a server that serves nothing yet, and refuses what is above `most_calls` at once; needs a running loop."""
    return grpc.aio.server(interceptors=interceptors, options=_SERVER_OPTIONS, maximum_concurrent_rpcs=most_calls)


def listen(
    server: grpc.aio.Server, address: str, tls: TlsFiles | None = None, *, callers_show_certificates: bool = True
) -> None:
    """Bind a socket for a server that has not started. Over TCP it takes only callers with a certificate of the CA.

    Those that have none yet are taken where `callers_show_certificates` is False: to have one made. Files that are
    renewed count from the next handshake on. A socket file that is there already is taken over: that no other daemon
    lives is for its lock to say.

    Raises:
        AddressError: it is no address, is TCP without `tls`, a file cannot be read, it cannot be bound, or its host
            name stands for loopback alone.
    """
    target = _target(address)
    if is_tcp(address) and (local := loopback_of(address)):
        raise AddressError(
            f"{address}: its name resolves to {local} here, by which a host reaches only itself (a line in "
            "/etc/hosts?): write an IP address of this host, or 0.0.0.0 for all."
        )
    try:
        if is_tcp(address):
            server.add_secure_port(target, _credentials(address, tls, callers_show_certificates))
        else:
            server.add_insecure_port(target)
    except RuntimeError as error:
        if is_tcp(address):
            raise AddressError(f"{address}: cannot listen there: {_why_not_bound(address)}.") from error
        folder = os.path.dirname(socket_path(address))
        raise AddressError(f"{address}: cannot listen there; {folder} must exist and be writable.") from error


def _credentials(address: str, tls: TlsFiles | None, callers_show_certificates: bool) -> grpc.ServerCredentials:
    """Make a server's credentials, which follow the files. The authority is shown too: who joins finds it there."""

    def configuration(files: tuple[bytes, bytes, bytes]) -> grpc.ServerCertificateConfiguration:
        ca, certificate, key = files
        return grpc.ssl_server_certificate_configuration(
            [(key, certificate + ca)], root_certificates=ca if callers_show_certificates else None
        )

    known = _read(address, tls)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        try:
            now = _read(address, tls)
        except AddressError:
            return None  # in the middle of being replaced: what was read last goes on
        if now == known:
            return None
        known = now
        return configuration(known)

    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)  # its documentation allows None
    return grpc.dynamic_ssl_server_credentials(configuration(known), fetch, callers_show_certificates)


def loopback_of(address: str) -> str:
    """Give the loopback address that the host name in a TCP address stands for here; "" if it stands for others, too.

    Debian's /etc/hosts has 127.0.1.1 for a host's own name. Who writes an IP address or localhost means it. May block.
    """
    host, port = host_port(address)
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return ""  # not known: to listen or to call there says so
    local = sorted(each for each in found if ipaddress.ip_address(each.partition("%")[0]).is_loopback)
    return local[0] if len(local) == len(found) and host not in (*found, "localhost") else ""


def peer_name(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """Give the name in a caller's certificate; "" on a unix socket, where there is none.

    It is the one name that the certificate is for; of several, the one that is its common name too.

    Raises:
        CallError: the certificate has no such name.
    """
    if context.peer().startswith("unix:"):
        return ""
    shown = context.auth_context()
    marked = [name.decode(errors="replace") for name in shown.get("x509_subject_alternative_name", ())]
    names = [name for name in marked if name != LOGIN_MARK]
    common = [name.decode(errors="replace") for name in shown.get("x509_common_name", ())]
    chosen = names if len(names) == 1 else [name for name in common if name in names]
    if len(chosen) != 1:
        raise CallError(
            Reason.REFUSED,
            f"The certificate of the caller at {peer_host(context)} names nobody in particular ({names}): "
            "issue it for one DNS name, its node's.",
        )
    return chosen[0]


def peer_host(context: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """Give the IP address that a caller calls from; "" on a unix socket."""
    family, _, rest = context.peer().partition(":")
    return "" if family == "unix" else unquote(rest).rpartition(":")[0].strip("[]")


def _target(address: str) -> str:
    if is_tcp(address):
        host, port = host_port(address)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # gRPC reads the target as a URI: a path with a space, '%' or '?' in it must be escaped.
    return f"unix:{quote(os.fsencode(socket_path(address)))}"


def _read(address: str, tls: TlsFiles | None) -> tuple[bytes, bytes, bytes]:
    """Read authority, certificate and key."""
    if tls is None:
        raise AddressError(f"{address}: TCP needs mutual TLS; set tls (ca, certificate, key).")
    try:
        with open(tls.ca, "rb") as ca, open(tls.certificate, "rb") as certificate, open(tls.key, "rb") as key:
            return ca.read(), certificate.read(), key.read()
    except OSError as error:
        raise AddressError(
            f"{error.filename}: cannot be read: {error.strerror}; see `tls` in the configuration."
        ) from error


def _why_not_bound(address: str) -> str:
    """Try to bind as gRPC did, which does not tell why it could not."""
    host, port = host_port(address)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, where in found:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
    except socket.gaierror as error:
        return f"{host} is not known ({error.strerror}); name an address of this host"
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                return (
                    f"another program has port {port}; stop it (`ss -ltnp 'sport = :{port}'` names it), or take another"
                )
            case errno.EADDRNOTAVAIL:
                return f"{host} is no address of this host; name one that is, or 0.0.0.0 for all"
            case _:
                return f"{error.strerror}; take another port or address"
    return "gRPC could not set it up; it may work when tried again, or with other certificate files"
