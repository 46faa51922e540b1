"""The session with the daemon: dialled again and again, with nothing in it that waits for anything but the wire.

Decides nothing about ranks. What is to be sent waits in one place for each kind, the newer replacing the
older, since every message says all there is: a slow daemon costs no memory here.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeAlias

import grpc.aio
import structlog

from dlroverd.model.hang import GangPhase
from dlroverd.model.ids import GangKey
from dlroverd.model.world import Desired, Observed, Progress
from dlroverd.protocol import channel
from dlroverd.protocol.certificates import CertificateError, refusal
from dlroverd.protocol.channel import DAEMON_NAME, AddressError, TlsFiles
from dlroverd.protocol.convert import ProtocolError
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.identity import IdentifiedStub
from dlroverd.protocol.messages import (
    AGENT_MESSAGE,
    DAEMON_MESSAGE,
    Ack,
    AgentMessage,
    Beat,
    Bye,
    DaemonMessage,
    Heard,
    Hello,
    LogRequest,
    StackRequest,
    Welcome,
)
from dlroverd.protocol.v1 import agent_service_pb2
from dlroverd.protocol.version import agree
from dlroverd_agent.answers import Sources, answer

FIRST_RETRY_S = 0.1
LAST_RETRY_S = 5.0
# When a fleet of thousands dials a restarted daemon at once, the last handshakes take their time; who gave up earlier
# would only dial again, behind all others.
WELCOME_S = 30.0
BYE_S = 1.0
# The ranks of a node start and end within a moment of each other, and each report says all: the first goes at once,
# and what happens in this time after it goes as one.
REPORT_EVERY_S = 0.02
CLOCK_LIMIT_S = 5.0

# What passes by itself; everything else needs a person, and is tried again slowly. The duplicate may be the session
# that this host's last boot left behind.
_PASSING = (Reason.UNAVAILABLE, Reason.TIMED_OUT, Reason.DUPLICATE_NODE)

_Call: TypeAlias = "grpc.aio.StreamStreamCall[agent_service_pb2.AgentMessage, agent_service_pb2.DaemonMessage]"

_log = structlog.get_logger()


class Peer(Sources, Protocol):
    """Who speaks through the link. Nothing in it may block."""

    async def hello(self, address: str) -> Hello:
        """Say to the daemon at `address` who this node is and all that it sees, now."""
        ...

    def beat(self) -> Beat:
        """Say how far this node is, now."""
        ...

    def welcomed(self, hello: Hello, welcome: Welcome) -> None:
        """The daemon accepted a hello."""
        ...

    def received(self, message: Desired | Ack | Heard) -> None:
        """The daemon said something."""
        ...

    def parted(self) -> None:
        """A session that had been welcomed ended."""
        ...


class Link:
    """Keeps one session with the daemon at one of `addresses`, whichever answers."""

    def __init__(
        self,
        addresses: Sequence[str],
        peer: Peer,
        tls: TlsFiles | None = None,
        push: Callable[[IdentifiedStub], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Dial nobody yet. `push` is what goes on beside each session, on calls of its own; its end ends nothing."""
        self._addresses = addresses
        self._peer = peer
        self._tls = tls
        self._push_beside = push
        self._outbox: dict[tuple[type, GangKey | None], AgentMessage] = {}
        self._filled = asyncio.Event()
        self._again = asyncio.Event()
        self._leaving = False
        self._said: dict[str, str] = {}
        self._kept: dict[str, grpc.aio.Channel] = {}
        self._nobody: dict[str, CallError] = {}
        self._clock_said = False
        self.clock_off_s: float | None = None

    def send(self, message: AgentMessage) -> None:
        """Send a message in this session, in place of an older one of its kind that still waits."""
        key = (type(message), message.round.gang_key if isinstance(message, Progress | GangPhase) else None)
        self._outbox[key] = message
        self._filled.set()

    def reconnect(self) -> None:
        """End the session and begin another at once."""
        self._again.set()

    def leave(self, away_s: float) -> None:
        """Say goodbye for about so long and have `run` end."""
        self._leaving = True
        self.send(Bye(away_s=away_s))
        self._again.set()

    async def run(self) -> None:
        """Dial until told to leave. Whatever the daemon does, this goes on."""
        try:
            await self._dial()
        finally:
            await asyncio.gather(*(wire.close() for wire in self._kept.values()))

    async def _dial(self) -> None:
        failures = 0
        while not self._leaving:
            self._again.clear()
            failure: CallError | None = None
            address = self._addresses[failures % len(self._addresses)]
            wire = self._kept.pop(address, None)
            try:
                wire = wire or channel.connect(address, self._tls, DAEMON_NAME)
                stub = IdentifiedStub(wire, address)
                hello = await self._peer.hello(address)
                proof = await stub.proof()
                # Nothing waits between this and the first write, which would not tell why a call has ended.
                call = stub.Session(metadata=proof)
                interval_s = await self._greet(call, hello, address)
                failures = 0
                try:
                    await self._converse(stub, call, interval_s)
                finally:
                    self._peer.parted()
            except (grpc.aio.AioRpcError, AddressError, ProtocolError, CallError, TimeoutError) as error:
                if wire is not None and _is_away(error):
                    self._kept[address], wire = wire, None
                failure = await self._told(error, address)
                self._say(address, failure.sentence)
            finally:
                if wire is not None:
                    await wire.close()
            if not self._again.is_set():
                failures += 1
                await self._pause(failures, failure)

    async def _pause(self, failures: int, failure: CallError | None) -> None:
        pause_s = min(LAST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures - 1, 10))
        if failure is not None and failure.reason not in _PASSING:
            pause_s = LAST_RETRY_S
        try:
            # Jittered, so that a fleet does not dial a restarted daemon in one instant.
            async with asyncio.timeout(pause_s * random.uniform(0.5, 1.0)):  # noqa: S311
                await self._again.wait()
        except TimeoutError:
            pass

    def _say(self, address: str, sentence: str) -> None:
        """Tell people why there is no daemon: once for each reason, not at each attempt."""
        if self._said.get(address) != sentence:
            _log.warning(sentence)
        self._said[address] = sentence

    async def _greet(self, call: _Call, hello: Hello, address: str) -> float:
        """Say hello and be welcomed; how often to send a beat, in seconds."""
        asked_at = time.time()
        async with asyncio.timeout(WELCOME_S):
            await call.write(AGENT_MESSAGE.wrap(hello))
            welcome = await _next(call)
        if not isinstance(welcome, Welcome):
            raise ProtocolError(f"its first word is {type(welcome).__name__}, not Welcome")
        agree(welcome.protocol_version, peer="dlroverd")
        if welcome.beat_interval_s <= 0:
            raise ProtocolError("must be more than 0", "welcome.beat_interval_s")
        self._said.clear()
        self._nobody.clear()
        self._outbox.clear()
        _log.info("connected", daemon=address, daemon_version=welcome.daemon_version)
        self._compare_clocks(asked_at, welcome.now)
        self._peer.welcomed(hello, welcome)
        return welcome.beat_interval_s

    def _compare_clocks(self, asked_at: float, now: float) -> None:
        """Tell people, once, that this clock and the daemon's, which said `now` after `asked_at`, are apart."""
        behind_s, ahead_s = now - time.time(), asked_at - now
        # As far as it is off for certain; how long the answer took is not known of either way.
        self.clock_off_s = (-behind_s if behind_s > 0 else max(0.0, ahead_s)) if now else None
        apart = bool(now) and max(behind_s, ahead_s) > CLOCK_LIMIT_S
        if apart and not self._clock_said:
            off = f"{behind_s:.0f} s behind" if behind_s > 0 else f"{ahead_s:.0f} s ahead of"
            _log.warning(
                f"this host's clock is {off} the daemon's: fix NTP on the one that is wrong; the node works on"
            )
        self._clock_said = apart

    async def _told(self, error: Exception, address: str) -> CallError:
        """Say in one sentence why there is no session."""
        match error:
            case CallError():
                return error
            case AddressError():
                return CallError(Reason.UNAVAILABLE, str(error))
            case grpc.aio.AioRpcError() if address in self._nobody and _is_refused(error):
                return self._nobody[address]
            case grpc.aio.AioRpcError():
                if self._tls and channel.is_tcp(address) and (why := await _refusal(error, address, self._tls)):
                    return CallError(Reason.UNAVAILABLE, why)
                failure = from_rpc(error, address)
                if failure.reason is Reason.UNAVAILABLE and channel.is_tcp(address):
                    failure = await asyncio.to_thread(_told_where, failure, address)
                if _is_refused(error):
                    self._nobody[address] = failure  # it is the same at each dial, and takes two threads to tell
                return failure
            case TimeoutError():
                sentence = f"The daemon at {address} took the call and said nothing for {WELCOME_S:g} s: see its log."
                return CallError(Reason.TIMED_OUT, sentence)
            case _:
                sentence = f"The daemon at {address} breaks the protocol ({error}): upgrade the older of the two."
                return CallError(Reason.INVALID, sentence)

    async def _converse(self, stub: IdentifiedStub, call: _Call, interval_s: float) -> None:
        """Speak and listen until the session ends, or is to end."""
        speaking = asyncio.create_task(self._speak(call, interval_s))
        pushes: set[asyncio.Task[None]] = set()
        listening = asyncio.create_task(self._listen(stub, call, pushes))
        again = asyncio.create_task(self._again.wait())
        if self._push_beside is not None:
            pushes.add(asyncio.create_task(self._push_beside(stub)))
        try:
            done, _ = await asyncio.wait({speaking, listening, again}, return_when=asyncio.FIRST_COMPLETED)
            if self._leaving:
                await asyncio.wait({listening}, timeout=BYE_S)  # the daemon ends the call when it has read it all
                return
            if speaking in done and speaking.exception() is None:
                await asyncio.wait({listening, again}, return_when=asyncio.FIRST_COMPLETED)
            for task in (speaking, listening):
                if task.done():
                    task.result()
        finally:
            tasks: set[asyncio.Task[Any]] = {speaking, listening, again, *pushes}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _speak(self, call: _Call, interval_s: float) -> None:
        """Send what waits, and a beat in time. Ends after a goodbye, or with the call: the listener learns why."""
        loop = asyncio.get_running_loop()
        beat_at, report_at, said_at = loop.time() + interval_s, 0.0, 0.0
        spared = False
        try:
            while not self._leaving or self._outbox:
                try:
                    async with asyncio.timeout_at(min(beat_at, report_at) if self._outbox else beat_at):
                        await self._filled.wait()
                except TimeoutError:
                    if loop.time() >= beat_at:
                        beat, now = self._peer.beat(), loop.time()
                        # Whatever is said is a sign of life: while a world forms, a large fleet says enough. But only a
                        # beat renews leases, and tells what has arrived here: no two in a row are left out.
                        beat_at = (now if self._outbox else said_at) + interval_s
                        spared = now < beat_at and not spared and not beat.asked_at
                        if not spared:
                            self.send(beat)
                            beat_at = now + interval_s
                self._filled.clear()
                while (message := self._take(reports=loop.time() >= report_at)) is not None:
                    await call.write(AGENT_MESSAGE.wrap(message))
                    if not isinstance(message, Beat):
                        said_at = loop.time()
                    if isinstance(message, Observed):
                        report_at = said_at + REPORT_EVERY_S
            await call.done_writing()
        except asyncio.InvalidStateError:
            pass

    def _take(self, *, reports: bool) -> AgentMessage | None:
        """Take the next message to be sent; a report only if it may go already, or is among the last words."""
        for key in self._outbox:
            if reports or self._leaving or key[0] is not Observed:
                return self._outbox.pop(key)
        return None

    async def _listen(self, stub: IdentifiedStub, call: _Call, pushes: "set[asyncio.Task[None]]") -> None:
        """Take what the daemon says until it ends the call."""
        while True:
            match message := await _next(call):
                case Desired() | Ack() | Heard():
                    self._peer.received(message)
                case LogRequest() | StackRequest():
                    push = asyncio.create_task(answer(stub, self._peer, message))
                    pushes.add(push)
                    push.add_done_callback(pushes.discard)
                case Welcome() | None:
                    pass  # doubled, or of a newer daemon


def _is_away(error: Exception) -> bool:
    """Tell whether a daemon just is not there (any more). Then nothing speaks against its channel, which dials anew.

    To make one costs eight times as much as to dial: thousands of agents would do that a few times a second while their
    daemon is restarted. Certificates that were renewed meanwhile are read if the old ones are refused.
    """
    return (
        isinstance(error, grpc.aio.AioRpcError)
        and error.code() is grpc.StatusCode.UNAVAILABLE
        and (_is_refused(error) or "failed to connect" not in (error.details() or ""))
    )


def _is_refused(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether nothing listens at the address."""
    return "Connection refused" in (error.details() or "")


async def _next(call: _Call) -> DaemonMessage | None:
    """Read one message; None for one that only a newer daemon knows. CallError when the daemon ended the call."""
    message = await call.read()
    if isinstance(message, agent_service_pb2.DaemonMessage):
        return DAEMON_MESSAGE.unwrap(message)
    raise CallError(Reason.UNAVAILABLE, "The daemon ended the session; it is dialled again.")


async def _refusal(error: grpc.aio.AioRpcError, address: str, tls: TlsFiles) -> str:
    """Say what is wrong with a certificate, the own one or the daemon's; "" if the call failed of something else."""
    try:
        return await asyncio.to_thread(refusal, error.details() or "", address, DAEMON_NAME, tls)
    except CertificateError as own:
        return str(own)


def _told_where(failure: CallError, address: str) -> CallError:
    """Say of a daemon that does not answer that it was looked for on this very host, if that is so."""
    if not (local := channel.loopback_of(address)):
        return failure
    sentence = (
        f"Nothing answers at {address}, whose name resolves to {local} here (a line in /etc/hosts?): write an IP "
        "address of the daemon's host, or start dlroverd on this one."
    )
    return CallError(failure.reason, sentence)
