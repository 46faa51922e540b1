"""How a call is refused: a gRPC status, a sentence for people, and a reason code for machines in trailing metadata.

One exception, raised by the server's side (`abort`) and met again on the client's (`from_rpc`).
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NoReturn, Protocol

import grpc
import grpc.aio

REASON_KEY = "dlroverd-reason"

# gRPC refuses a call whose metadata exceeds 8 KiB, and percent-encodes the sentence to up to three times its size.
_SENTENCE_LIMIT_BYTES = 2000


class Reason(StrEnum):
    """Why a call failed, for programs. Codes are only ever added."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    REFUSED = "refused"
    FORBIDDEN = "forbidden"
    DUPLICATE_NODE = "duplicate_node"
    WRONG_VERSION = "wrong_version"
    STORAGE_LOW = "storage_low"
    UNAVAILABLE = "unavailable"
    TIMED_OUT = "timed_out"
    INTERNAL = "internal"


STATUS = {
    Reason.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Reason.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Reason.REFUSED: grpc.StatusCode.FAILED_PRECONDITION,
    Reason.FORBIDDEN: grpc.StatusCode.PERMISSION_DENIED,
    Reason.DUPLICATE_NODE: grpc.StatusCode.ALREADY_EXISTS,
    Reason.WRONG_VERSION: grpc.StatusCode.UNIMPLEMENTED,
    Reason.STORAGE_LOW: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Reason.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Reason.TIMED_OUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
_REASON_OF_STATUS = {status: reason for reason, status in STATUS.items()}


class CallError(Exception):
    """A call that failed, and why."""

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sentence = sentence


class FailedCall(Protocol):
    """What gRPC raises at a client: grpc.aio.AioRpcError, and the errors of the blocking API."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[Any] | None: ...


async def abort(context: "grpc.aio.ServicerContext[Any, Any]", error: CallError) -> NoReturn:
    """End a call, on the server's side, so that `from_rpc` gives `error` again (a very long sentence is cut)."""
    sentence = error.sentence.encode("utf-8", "replace")[:_SENTENCE_LIMIT_BYTES].decode("utf-8", "ignore")
    await context.abort(STATUS[error.reason], sentence, trailing_metadata=((REASON_KEY, error.reason.value),))
    raise AssertionError("grpc.aio's abort always raises")


def from_rpc(error: FailedCall, address: str) -> CallError:
    """Tell, on the client's side, why a call to the daemon at `address` failed.

    A reason code of a newer daemon is read by its status. Without one gRPC itself speaks, and is translated.
    """
    code, details = error.code(), error.details() or ""
    reason = _REASON_OF_STATUS.get(code, Reason.INTERNAL)
    coded = dict(error.trailing_metadata() or ()).get(REASON_KEY)
    if coded is not None:
        return CallError(Reason(coded) if coded in set(Reason) else reason, details)
    match code:
        case grpc.StatusCode.UNAVAILABLE if "Permission denied" in details:
            sentence = f"You may not use {address}: its folder is its daemon's user's alone; become that user, or root."
            return CallError(reason, sentence)
        case grpc.StatusCode.UNAVAILABLE:
            return CallError(reason, f"Nothing answers at {address}: start dlroverd there, or name another address.")
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return CallError(reason, f"The daemon at {address} did not answer in time; try again, or allow it longer.")
        case grpc.StatusCode.UNIMPLEMENTED:
            sentence = f"The daemon at {address} does not know this call: upgrade it to the version of this client."
            return CallError(reason, sentence)
    return CallError(reason, f"The daemon at {address} failed ({code.name}: {details}); its log says more.")
