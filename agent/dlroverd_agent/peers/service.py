"""What this agent answers those of other nodes. It changes nothing here, and answers while the daemon is away, too."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc.aio

from dlroverd.model.ids import GangKey, RoundKey
from dlroverd.protocol.convert import ProtocolError, from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason, abort
from dlroverd.protocol.v1 import peer_service_pb2 as pb
from dlroverd.protocol.v1.peer_service_pb2_grpc import PeerServiceServicer
from dlroverd_agent.core import Followed, KnownRound
from dlroverd_agent.preflight.code import Code
from dlroverd_agent.preflight.examine import UnfitError


class Knowledge(Protocol):
    """What of the agent's core is asked for."""

    followed: Followed

    def known(self, gangs: tuple[GangKey, ...]) -> tuple[KnownRound, ...]:
        """Say what is known of gangs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundsReply:
    """What an agent that follows the log `log_id` knows of gangs."""

    log_id: str
    rounds: tuple[KnownRound, ...]


class PeerService(PeerServiceServicer):
    """Serves one agent's knowledge. `code_of` finds the code of a round here: None if this node has no part in it."""

    def __init__(
        self, node: str, boot_id: str, knows: Knowledge, code_of: Callable[[RoundKey], Awaitable[Code | None]]
    ) -> None:
        self._reply = pb.CallReply(node=node, boot_id=boot_id)
        self._knows = knows
        self._code_of = code_of

    async def Call(  # noqa: N802 - gRPC's name
        self, request: pb.CallRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.CallReply:
        """See the proto."""
        del request, context
        return self._reply

    async def Rounds(  # noqa: N802 - gRPC's name
        self, request: pb.RoundsRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.RoundsReply:
        """See the proto."""
        del context
        gangs = tuple(from_proto(each, GangKey) for each in request.gangs)
        known = RoundsReply(log_id=self._knows.followed.log_id, rounds=self._knows.known(gangs))
        return to_proto(known, pb.RoundsReply)

    async def Code(  # noqa: N802 - gRPC's name
        self, request: pb.CodeRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.CodeReply:
        """See the proto."""
        try:
            round_ = from_proto(request.round, RoundKey)
            if (code := await self._code_of(round_)) is None:
                raise CallError(Reason.NOT_FOUND, f"This node has no part in {round_}, or has not heard of it yet.")
            return pb.CodeReply(code=to_proto(code, pb.Code))
        except CallError as error:
            await abort(context, error)
        except UnfitError as error:
            await abort(context, CallError(Reason.REFUSED, str(error)))
        except ProtocolError as error:
            await abort(context, CallError(Reason.INTERNAL, f"The code cannot be told: {error}."))
