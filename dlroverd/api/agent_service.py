"""What agents call. Thin: the sessions and streams themselves are the runtime's."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from dlroverd import __version__
from dlroverd.api import standing
from dlroverd.api.forwarded import Forwarding, check_batch
from dlroverd.api.readings import received
from dlroverd.api.standing import shown
from dlroverd.model.hang import GangPhase
from dlroverd.model.spooled import EventBatch, EventsTaken
from dlroverd.model.world import Observed, Progress
from dlroverd.protocol import channel, version
from dlroverd.protocol.convert import ProtocolError, from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.messages import (
    AGENT_MESSAGE,
    DAEMON_MESSAGE,
    LOG_PIECE,
    Beat,
    Bye,
    Hello,
    LogOpen,
    Stacks,
    Welcome,
)
from dlroverd.protocol.v1 import agent_service_pb2 as pb
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceServicer
from dlroverd.runtime import sessions
from dlroverd.runtime.output_streams import Stream
from dlroverd.runtime.runtime import Runtime

# A client that opens a session says who it is, or is sent away.
_HELLO_S = 10.0


class AgentService(AgentServiceServicer):
    """Serves the agents of one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        """Serve sessions of `runtime`."""
        self._runtime = runtime
        self._forwarding = Forwarding(runtime.ask)

    async def Session(
        self, request_iterator: AsyncIterator[pb.AgentMessage], context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[pb.DaemonMessage]:
        """See the proto."""
        hello = await _first(request_iterator)
        agreed = version.agree(hello.protocol_version, peer="dlroverd-agent")
        _check_name(hello.node, self._let_in(context))
        session = self._runtime.sessions.open(hello, channel.peer_host(context))
        reader = asyncio.create_task(self._read(session, request_iterator), name=f"session of {hello.node}")
        try:
            yield DAEMON_MESSAGE.wrap(
                Welcome(
                    protocol_version=agreed,
                    daemon_version=__version__,
                    log_id=self._runtime.state.log_id,
                    beat_interval_s=self._runtime.sessions.beat_interval_s,
                    now=time.time(),
                )
            )
            async for message in session.outgoing():
                yield DAEMON_MESSAGE.wrap(message)
        finally:
            reader.cancel()
            self._runtime.sessions.close(session)

    async def _read(self, session: sessions.Session, messages: AsyncIterator[pb.AgentMessage]) -> None:
        """Take in what a session's agent says, until it hangs up or breaks the protocol."""
        known = self._runtime.sessions
        try:
            async for message in messages:
                if session.ended:
                    return
                known.heard(session)
                if message.HasField("telemetry"):
                    self._runtime.take_telemetry(session.node, message.telemetry.at, received(message.telemetry))
                    continue
                match AGENT_MESSAGE.unwrap(message):
                    case Beat() as beat:
                        self._runtime.meters.beats += 1
                        known.beat(session, beat)
                    case Observed() as observed:
                        known.report(session, observed)
                    case Progress() as progress:
                        known.steps.take(session.node, progress)
                        self._runtime.telemetry.stepped(progress, self._runtime.clock.now())
                        self._runtime.hangs.stepped(progress)
                    case GangPhase() as phase:
                        self._runtime.hangs.entered(session.node, phase)
                    case Bye() as bye:
                        known.leave(session, bye.away_s)
            session.end(None)
        except ProtocolError as error:
            session.end(CallError(Reason.INVALID, f"The agent breaks the protocol: {error}."))

    async def PushLogs(
        self, request_iterator: AsyncIterator[pb.LogPiece], context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.PushLogsReply:
        """See the proto."""
        opened = LOG_PIECE.unwrap(await anext(request_iterator, pb.LogPiece()))
        if not isinstance(opened, LogOpen):
            raise CallError(Reason.INVALID, "A call of PushLogs begins with LogOpen.")
        name = self._let_in(context)
        stream = self._runtime.streams.attach(opened.stream_id)
        pusher = asyncio.create_task(self._push(stream, request_iterator, name))
        unwanted = asyncio.create_task(stream.unwanted.wait())
        try:
            await asyncio.wait({pusher, unwanted}, return_when=asyncio.FIRST_COMPLETED)
            if pusher.done():
                await pusher
        finally:
            pusher.cancel()
            unwanted.cancel()
        return pb.PushLogsReply()

    async def PushStacks(self, request: pb.Stacks, context: "grpc.aio.ServicerContext[Any, Any]") -> pb.PushStacksReply:
        """See the proto."""
        stacks, name = from_proto(request, Stacks), self._let_in(context)
        for each in stacks.ranks:
            _check_name(each.node, name)
        self._runtime.stacks.take(stacks)
        return pb.PushStacksReply()

    async def PushEvents(
        self, request_iterator: AsyncIterator[pb.EventBatch], context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[pb.EventsTaken]:
        """See the proto."""
        name = self._let_in(context)
        async for message in request_iterator:
            batch = from_proto(message, EventBatch)
            _check_name(batch.node, name)
            check_batch(batch)
            await self._forwarding.take(batch)
            taken = self._runtime.state.spools[batch.node]
            yield to_proto(EventsTaken(spool=taken.spool, sequence=taken.sequence), pb.EventsTaken)

    async def _push(self, stream: Stream, messages: AsyncIterator[pb.LogPiece], name: str) -> None:
        """Hand pieces on, as fast as they are read; the end of the call, however it came, ends the stream."""
        try:
            async for message in messages:
                piece = LOG_PIECE.unwrap(message)
                if piece is not None and not isinstance(piece, LogOpen):
                    _check_name(piece.node, name)
                    await stream.pieces.put(piece)
        finally:
            stream.pieces.end()

    def _let_in(self, context: "grpc.aio.ServicerContext[Any, Any]") -> str:
        """Give the name in a node's certificate, "" on a unix socket; CallError if it is none's."""
        certificate = shown(context)
        standing.check_node(certificate)
        if certificate.name:
            terms = self._runtime.sessions.certificates
            terms.shown(certificate.name, certificate.begins_at, certificate.ends_at)
        return certificate.name

    async def Measure(
        self, request: pb.MeasureRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.MeasureReply:
        """See the proto."""
        return pb.MeasureReply(now=time.time())


async def _first(messages: AsyncIterator[pb.AgentMessage]) -> Hello:
    try:
        async with asyncio.timeout(_HELLO_S):
            hello = AGENT_MESSAGE.unwrap(await anext(messages, pb.AgentMessage()))
    except TimeoutError:
        raise CallError(Reason.INVALID, f"A session begins with Hello; none came within {_HELLO_S:g} s.") from None
    if not isinstance(hello, Hello):
        raise CallError(Reason.INVALID, "A session begins with Hello.")
    return hello


def _check_name(node: str, name: str) -> None:
    """Refuse what says to be of another node than `name`, which its certificate names ("" where there is none)."""
    if name and node != name:
        raise CallError(
            Reason.REFUSED,
            f"The agent calls itself node {node:.253} and its certificate names {name}: set `node: {name}` in its "
            f"configuration, or give it the certificate of {node:.253}.",
        )
