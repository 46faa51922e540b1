"""Hands calls on to the daemon, byte for byte, and says beside each whose process made it."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from dlroverd.protocol.channel import DAEMON_NAME, TlsFiles, connect
from dlroverd.protocol.errors import CallError, Reason, abort
from dlroverd.protocol.identity import METADATA_KEY
from dlroverd.protocol.vouching import Vouched, vouch
from dlroverd.trust.identity import Identities

Context = grpc.aio.ServicerContext[Any, Any]

_FORWARDED = "/dlroverd.protocol.v1.ControlService/"


class Relay(grpc.GenericRpcHandler):
    """Serves ControlService by the daemon at an address. Needs a running loop; `close` it."""

    def __init__(self, address: str, tls: TlsFiles, identities: Identities) -> None:
        """Connect at the first call."""
        self._address = address
        self._tls = tls
        self._identities = identities
        self._daemon = connect(address, tls, DAEMON_NAME)

    def redial(self) -> None:
        """Show the certificate that is in the files now from the next call on; those under way go on."""
        self._daemon = connect(self._address, self._tls, DAEMON_NAME)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Give what serves a method: on the wire a single answer is a stream of one."""
        method = handler_call_details.method
        if not method.startswith(_FORWARDED):
            return None

        async def forward(request: bytes, context: Context) -> AsyncIterator[bytes]:
            try:
                known = dict(context.invocation_metadata() or ())
                caller = self._identities.read(str(known.get(METADATA_KEY, "")))
            except CallError as error:
                await abort(context, error)
            user = Vouched(uid=caller.uid, name=caller.name, gids=caller.gids)
            daemon = self._daemon  # which `redial` may replace, and the last reference to one ends its calls
            call: Any = daemon.unary_stream(method)
            try:
                async for reply in call(request, metadata=(vouch(user),), timeout=context.time_remaining()):
                    yield reply
            except grpc.aio.AioRpcError as error:
                await _end(context, error, self._address)

        return grpc.unary_stream_rpc_method_handler(forward)

    async def close(self) -> None:
        """Hang up."""
        await self._daemon.close()


async def _end(context: Context, error: grpc.aio.AioRpcError, address: str) -> None:
    """End a call as the daemon ended it; where there is none, say which one was called."""
    trailing = tuple(error.trailing_metadata() or ())
    if error.code() is grpc.StatusCode.UNAVAILABLE and not trailing:
        sentence = f"The fleet's daemon at {address} does not answer this login host: {error.details()}."
        await abort(context, CallError(Reason.UNAVAILABLE, sentence))
    await context.abort(error.code(), error.details() or "", trailing_metadata=trailing)
