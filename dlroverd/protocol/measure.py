"""How far away the daemon is: its clock, the time there and back, and how fast it takes a few megabytes."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import grpc.aio

from dlroverd.protocol.certificates import CertificateError, refusal
from dlroverd.protocol.channel import DAEMON_NAME, TlsFiles, connect
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import agent_service_pb2 as pb
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub

_ROUNDS = 9
_PADDING_BYTES = 1024 * 1024
_CALL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A daemon's distance; `skew_s` is how far its clock is ahead of this host's, right by half of `round_trip_s`."""

    skew_s: float
    round_trip_s: float
    bytes_per_s: float


async def measure(address: str, tls: TlsFiles) -> Measured:
    """Call the daemon some times. CallError with a sentence if it cannot be reached; AddressError as `connect`."""
    async with connect(address, tls, DAEMON_NAME) as channel:
        stub = AgentServiceStub(channel)
        try:
            await _call(stub, "")  # connects
            near = [await _call(stub, "") for _ in range(_ROUNDS)]
            far = [await _call(stub, " " * _PADDING_BYTES) for _ in range(_ROUNDS)]
        except grpc.aio.AioRpcError as error:
            raise _refused(error, address, tls) from error
    # The quickest call of all says the most about the clock.
    round_trip_s, skew_s = min(near)
    carried_s = statistics.median(took_s for took_s, _ in far) - round_trip_s
    return Measured(skew_s=skew_s, round_trip_s=round_trip_s, bytes_per_s=_PADDING_BYTES / max(carried_s, 1e-6))


async def _call(stub: Any, padding: str) -> tuple[float, float]:
    """Give how long a call took, and how far the daemon's clock was ahead in its midst."""
    before, began_s = time.time(), time.perf_counter()
    reply = await stub.Measure(pb.MeasureRequest(padding=padding), timeout=_CALL_S)
    took_s = time.perf_counter() - began_s
    return took_s, float(reply.now) - (before + took_s / 2)


def _refused(error: grpc.aio.AioRpcError, address: str, tls: TlsFiles) -> CallError:
    try:
        sentence = refusal(error.details() or "", address, DAEMON_NAME, tls)
    except CertificateError as unreadable:
        sentence = str(unreadable)
    return CallError(Reason.UNAVAILABLE, sentence) if sentence else from_rpc(error, address)
