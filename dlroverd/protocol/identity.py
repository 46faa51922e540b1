"""Who calls on a unix socket, which gRPC does not tell: shown by a token that a socket beside it gives out.

The daemon reads there whose process asks (SO_PEERCRED) and answers with one line, a token for a short time. A call
carries it as metadata. No such socket, no token: then the folder is one person's alone, and that says who calls.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
import grpc.aio

from dlroverd.protocol.channel import is_tcp, socket_path
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub

METADATA_KEY = "dlroverd-identity"
_SUFFIX = ".id"
_ANSWER_S = 2.0
_MOST_BYTES = 16384

Metadata = tuple[tuple[str, str], ...]


def identity_path(address: str) -> str:
    """Give the path of the socket that tells callers of a unix address who they are."""
    return socket_path(address) + _SUFFIX


def proof(address: str) -> Metadata:
    """Give the metadata that proves to the daemon at an address who calls; () where none is needed. May block."""
    if is_tcp(address) or not os.path.exists(path := identity_path(address)):
        return ()
    try:
        return ((METADATA_KEY, _ask(path)),)
    except OSError:
        return ()  # the daemon is away: the call itself tells so


class IdentifiedStub(AgentServiceStub):
    """The daemon as an agent calls it, and what proves to it who does."""

    def __init__(self, wire: grpc.aio.Channel, address: str) -> None:
        """Call by `wire`, which leads to `address`."""
        super().__init__(wire)
        self._address = address

    async def proof(self) -> Metadata:
        """Give the metadata of the next call."""
        return await asyncio.to_thread(proof, self._address)


def _ask(path: str) -> str:
    # Through the folder's descriptor: the name may be longer than a socket's may be.
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            asking.settimeout(_ANSWER_S)
            asking.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
            answer = b""
            while not answer.endswith(b"\n") and len(answer) < _MOST_BYTES and (more := asking.recv(4096)):
                answer += more
            return answer.decode("ascii", "replace").strip()
    finally:
        os.close(folder)


class _Details(NamedTuple):
    """What gRPC's blocking API wants to know of a call."""

    method: str
    timeout: float | None
    metadata: Any
    credentials: Any
    wait_for_ready: bool | None
    compression: Any


class ShowIdentity(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    """Has each call of a blocking channel show who makes it."""

    def __init__(self, address: str) -> None:
        """Show it to the daemon at `address`."""
        self._address = address

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Go on with the caller's identity."""
        return continuation(self._shown(details), request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        """Go on with the caller's identity."""
        return continuation(self._shown(details), request)

    def _shown(self, details: Any) -> _Details:
        return _Details(
            details.method,
            details.timeout,
            (*(details.metadata or ()), *proof(self._address)),
            details.credentials,
            getattr(details, "wait_for_ready", None),
            getattr(details, "compression", None),
        )
