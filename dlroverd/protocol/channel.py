"""Addresses, and the gRPC channels and servers on them, with the same options on both sides."""

import os
from urllib.parse import quote

import grpc
import grpc.aio

# sockaddr_un.sun_path is 108 bytes with its terminating zero (unix(7)).
SOCKET_PATH_LIMIT_BYTES = 107
MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024

# Keepalive only clears away connections that are dead for certain; silence is judged by beats (DESIGN section 5).
_OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)
# Without the back-off's bounds a client would find a daemon that was restarted only after up to two minutes.
_CHANNEL_OPTIONS = (
    *_OPTIONS,
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# The server's own limit is one ping in five minutes; a client that keeps to ours must not be sent away for it.
_SERVER_OPTIONS = (*_OPTIONS, ("grpc.http2.min_ping_interval_without_data_ms", 10_000))


class AddressError(ValueError):
    """An address that this release cannot listen on or call; says what to write instead."""


def socket_path(address: str) -> str:
    """Give the path in `unix:///path` (or `unix:/path`); AddressError for everything else."""
    if address.startswith("tcp:"):
        raise AddressError(f"{address}: TCP needs mutual TLS, which this release does not have; use unix:///path.")
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


def connect(address: str) -> grpc.aio.Channel:
    """Make a channel, which connects at its first call; needs a running loop. AddressError as `socket_path`."""
    return grpc.aio.insecure_channel(_target(address), options=_CHANNEL_OPTIONS)


def connect_blocking(address: str) -> grpc.Channel:
    """Make a channel of gRPC's blocking API; it connects at its first call. AddressError as `socket_path`."""
    return grpc.insecure_channel(_target(address), options=_CHANNEL_OPTIONS)


def new_server(*interceptors: grpc.aio.ServerInterceptor) -> grpc.aio.Server:
    """Make a server that serves nothing yet; needs a running loop."""
    return grpc.aio.server(interceptors=interceptors, options=_SERVER_OPTIONS)


def listen(server: grpc.aio.Server, address: str) -> None:
    """Bind a socket for a server that has not started. AddressError as `socket_path`, or if it cannot be bound.

    A socket file that is there already is taken over: that no other daemon lives is for its lock to say.
    """
    target = _target(address)
    try:
        server.add_insecure_port(target)
    except RuntimeError as error:
        folder = os.path.dirname(socket_path(address))
        raise AddressError(f"{address}: cannot listen there; {folder} must exist and be writable.") from error


def _target(address: str) -> str:
    # gRPC reads the target as a URI: a path with a space, '%' or '?' in it must be escaped.
    return f"unix:{quote(os.fsencode(socket_path(address)))}"
