"""The agent as a process, with real ranks, against a small daemon that speaks the real protocol: the peer."""

import asyncio
import json
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from dlroverd_agent.launchers.files import boot_id

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.spooled import EventBatch, EventsTaken, Severity
from dlroverd.model.view import LogChunk
from dlroverd.model.world import Assignment, Desired, JobDescriptor, Observed, Progress, RankObservation, Tombstone
from dlroverd.protocol import channel
from dlroverd.protocol.convert import from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason, abort
from dlroverd.protocol.messages import (
    AGENT_MESSAGE,
    DAEMON_MESSAGE,
    LOG_PIECE,
    Ack,
    AgentMessage,
    Beat,
    Bye,
    DaemonMessage,
    Hello,
    LogOpen,
    LogPiece,
    LogRequest,
    LogSource,
    Welcome,
)
from dlroverd.protocol.v1 import agent_service_pb2, agent_service_pb2_grpc

LIMIT_S = 30
GANG = GangKey(1, "trainer", 0)
TRAINS = "import signal; print('step 7', flush=True); signal.pause()"
BOTH = tuple(LogSource(rank=GANG.at(1).rank(rank)) for rank in (0, 1))
T = TypeVar("T")


class Talk:
    """One session as the daemon has it."""

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.observed = hello.observed
        self.heard: list[AgentMessage] = []
        self.news = asyncio.Condition()
        self.down: asyncio.Queue[DaemonMessage | None] = asyncio.Queue()

    def send(self, message: DaemonMessage) -> None:
        self.down.put_nowait(message)

    async def until(self, found: Callable[[], T | None]) -> T:
        """Wait until the messages so far make `found` give something."""
        async with asyncio.timeout(LIMIT_S), self.news:
            while (result := found()) is None:
                await self.news.wait()
            return result

    async def states(self, *states: str) -> tuple[RankObservation, ...]:
        """Wait until the ranks are seen in exactly these states."""

        def found() -> tuple[RankObservation, ...] | None:
            ranks = self.observed.ranks
            return ranks if [each.state for each in ranks] == [RankState(state) for state in states] else None

        return await self.until(found)

    async def first(self, kind: type[T]) -> T:
        return await self.until(lambda: next((each for each in self.heard if isinstance(each, kind)), None))


class Daemon(agent_service_pb2_grpc.AgentServiceServicer):
    """Takes sessions, acknowledges what it hears, and collects output; everything else is for the test to say."""

    def __init__(self, address: str, log_id: str = "log-a", protocol_version: int = 1) -> None:
        self.address = address
        self.log_id = log_id
        self.protocol_version = protocol_version
        self.clock_s = 0.0
        self.refusal: CallError | None = None
        self.garbage: agent_service_pb2.DaemonMessage | None = None
        self.sessions: asyncio.Queue[Talk] = asyncio.Queue()
        self.pieces: dict[str, list[LogPiece]] = {}
        self.piece = asyncio.Event()
        self.complete: asyncio.Queue[str] = asyncio.Queue()
        self.batches: asyncio.Queue[EventBatch] = asyncio.Queue()
        self.short_by = 0  # so many events fewer than it was told it says it has

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Daemon"]:
        server = channel.new_server()
        agent_service_pb2_grpc.add_AgentServiceServicer_to_server(self, server)
        channel.listen(server, self.address)
        await server.start()
        try:
            yield self
        finally:
            await server.stop(grace=0)

    async def session(self) -> Talk:
        async with asyncio.timeout(LIMIT_S):
            return await self.sessions.get()

    async def has_output(self, stream_id: str, rank: int, text: bytes) -> None:
        """Wait until exactly this much of a rank's output came."""
        async with asyncio.timeout(LIMIT_S):
            while output(self, stream_id, rank)[0] != text:
                await self.piece.wait()
                self.piece.clear()

    async def Session(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        hello = AGENT_MESSAGE.unwrap(await anext(request_iterator))
        assert isinstance(hello, Hello)
        if self.refusal is not None:
            await abort(context, self.refusal)
        welcome = Welcome(
            protocol_version=self.protocol_version,
            daemon_version="test",
            log_id=self.log_id,
            beat_interval_s=0.2,
            now=time.time() + self.clock_s,
        )
        session = Talk(hello)
        self.sessions.put_nowait(session)  # before the welcome, upon which an agent may leave at once
        yield DAEMON_MESSAGE.wrap(welcome)
        if self.garbage is not None:
            yield self.garbage
        listening = asyncio.create_task(self._listen(session, request_iterator))
        try:
            while (message := await session.down.get()) is not None:
                yield DAEMON_MESSAGE.wrap(message)
        finally:
            listening.cancel()

    async def _listen(self, session: Talk, request_iterator: Any) -> None:
        session.send(Ack(observed_version=session.hello.observed.version))
        async for envelope in request_iterator:
            message = AGENT_MESSAGE.unwrap(envelope)
            assert message is not None
            async with session.news:
                session.heard.append(message)
                if isinstance(message, Observed):
                    session.observed = message
                    session.send(Ack(observed_version=message.version))
                session.news.notify_all()
        session.down.put_nowait(None)

    async def PushStacks(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - gRPC's
        return agent_service_pb2.PushStacksReply()

    async def PushLogs(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        opened = LOG_PIECE.unwrap(await anext(request_iterator))
        assert isinstance(opened, LogOpen)
        async for envelope in request_iterator:
            piece = LOG_PIECE.unwrap(envelope)
            assert piece is not None
            self.pieces.setdefault(opened.stream_id, []).append(piece)
            self.piece.set()
        self.complete.put_nowait(opened.stream_id)
        return agent_service_pb2.PushLogsReply()

    async def PushEvents(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        async for message in request_iterator:
            batch = from_proto(message, EventBatch)
            self.batches.put_nowait(batch)
            last = batch.events[-1].sequence - self.short_by
            yield to_proto(EventsTaken(spool=batch.spool, sequence=last), agent_service_pb2.EventsTaken)

    async def Measure(self, request: Any, context: Any) -> Any:  # noqa: N802, ARG002 - gRPC's
        return agent_service_pb2.MeasureReply()

    async def batch(self) -> EventBatch:
        async with asyncio.timeout(LIMIT_S):
            return await self.batches.get()


class Host:
    """A host with an agent on it, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.state_dir = folder / "state"
        self.address = f"unix://{folder}/s"
        self.agent: asyncio.subprocess.Process | None = None
        self.lines: list[str] = []

    async def start_agent(self) -> None:
        daemons = ("--daemon", f"{self.address}-where-nobody-is", "--daemon", self.address)
        config = self.state_dir.with_name("agent.yaml")
        config.write_text(json.dumps({"run_dir": str(self.state_dir.with_name("run"))}))
        words = ("--config", str(config), "--state-dir", str(self.state_dir), *daemons, "--node", "n1", "--slots", "4")
        self.agent = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dlroverd_agent.main", *words, stderr=subprocess.PIPE, start_new_session=True
        )

    async def says(self, sentence: str) -> str:
        """Read what the agent writes until a line has the sentence in it."""
        assert self.agent is not None
        assert self.agent.stderr is not None
        async with asyncio.timeout(LIMIT_S):
            async for line in self.agent.stderr:
                self.lines.append(line.decode())
                if sentence in self.lines[-1]:
                    return self.lines[-1]
        raise AssertionError(f"the agent ended and never said {sentence!r}, but {self.lines}")

    async def end_agent(self, number: signal.Signals) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return await self.agent_ended()

    async def agent_ended(self) -> int:
        """Wait for the agent's end, and read all that it said."""
        assert self.agent is not None
        async with asyncio.timeout(LIMIT_S):
            _, rest = await self.agent.communicate()
            self.lines += rest.decode().splitlines()
            return await self.agent.wait()

    async def clear(self) -> None:
        if self.agent is not None and self.agent.returncode is None:
            await self.end_agent(signal.SIGKILL)
        self._kill_ranks()

    def _kill_ranks(self) -> None:
        for record in self.state_dir.glob("ranks/*/record.json"):
            values = json.loads(record.read_text())
            if values["state"] == "running" and os.path.exists(f"/proc/{values['pid']}"):
                os.kill(values["pid"], signal.SIGKILL)


Scene = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def run(host: Host, scene: Scene) -> None:
    async def and_clear() -> None:
        try:
            await scene()
        finally:
            await host.clear()

    asyncio.run(and_clear())


def key(rank: int, round_: int = 1) -> RankKey:
    return GANG.at(round_).rank(rank)


def desired(position: int, *, script: str = TRAINS, run: int = 0, stop: int = 0, log_id: str = "log-a") -> Desired:
    spec = JobSpec(
        name="digits",
        user=User(uid=os.getuid(), gid=os.getgid(), name=pwd.getpwuid(os.getuid()).pw_name),
        roles=(RoleSpec(argv=(sys.executable, "-c", script), cwd="/", nproc_per_node=2),),
    )
    assignment = Assignment(
        round=GANG.at(run),
        world_size=2,
        group_rank=0,
        group_world_size=1,
        first_rank=0,
        nproc=2,
        master_addr="127.0.0.1",
        master_port=23456,
        restart_count=0,
    )
    tombstone = Tombstone(round=GANG.at(stop), grace_s=5.0, evidence_s=0.0, reason="fault")
    return Desired(
        log_id=log_id,
        position=position,
        jobs=(JobDescriptor(job=1, spec=spec),) if run else (),
        assignments=(assignment,) if run else (),
        tombstones=(tombstone,) if stop else (),
    )


async def train(host: Host, daemon: Daemon) -> tuple[Talk, tuple[RankObservation, ...]]:
    """Bring two ranks up, and see both at their first step."""
    await host.start_agent()
    session = await daemon.session()
    session.send(desired(10, run=1))
    ranks = await session.states("running", "running")
    assert (await session.first(Progress)).step == 7
    session.send(LogRequest(stream_id="first steps", sources=BOTH, follow=True))
    for rank in (0, 1):
        await daemon.has_output("first steps", rank, b"step 7\n")
    return session, ranks


def alive(ranks: tuple[RankObservation, ...]) -> list[bool]:
    return [os.path.exists(f"/proc/{each.pid}") for each in ranks]


def test_a_killed_rank_is_reported_with_its_signal_and_last_step_and_the_other_stopped(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            session, ranks = await train(host, daemon)
            os.kill(ranks[1].pid, signal.SIGKILL)
            other, killed = await session.states("running", "gone")
            assert killed.exit is not None
            assert (killed.exit.signal, killed.exit.step, killed.exit.requested) == (signal.SIGKILL, 7, False)
            assert killed.exit.output_tail == "step 7"
            session.send(desired(11, stop=1))
            stopped, _ = await session.states("gone", "gone")
            assert stopped.pid == other.pid
            assert stopped.exit is not None
            assert (stopped.exit.signal, stopped.exit.requested) == (signal.SIGTERM, True)
            session.send(desired(12))
            assert await session.states() == ()
            assert session.observed.position == 12
            assert await session.first(Beat)

    run(host, scene)


def test_a_killed_agent_adopts_its_ranks_and_keeps_the_end_it_did_not_see(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            _, ranks = await train(host, daemon)
            await host.end_agent(signal.SIGKILL)
            assert alive(ranks) == [True, True]
            os.kill(ranks[0].pid, signal.SIGINT)
            await host.start_agent()
            session = await daemon.session()
            assert (session.hello.log_id, session.hello.position) == ("log-a", 10)
            session.send(desired(10, run=1))
            ended, other = await session.states("gone", "running")
            assert (ended.pid, other) == (ranks[0].pid, ranks[1])
            assert ended.exit is not None
            assert ended.exit.signal == signal.SIGINT
            assert ended.exit.step == 7
            assert ended.exit.error is not None
            assert ended.exit.error.type == "KeyboardInterrupt"

    run(host, scene)


def test_without_a_daemon_ranks_run_and_on_its_return_it_hears_everything(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            _, ranks = await train(host, daemon)
        os.kill(ranks[0].pid, signal.SIGKILL)
        async with Daemon(host.address).serve() as daemon:
            session = await daemon.session()
            killed, other = await session.states("gone", "running")
            assert killed.exit is not None
            assert killed.exit.signal == signal.SIGKILL
            assert other == ranks[1]
            hello = session.hello
            assert hello.held.assignments == desired(10, run=1).assignments
            assert hello.held.jobs == desired(10, run=1).jobs
            assert (hello.node, hello.facts.slots, hello.facts.address) == ("n1", 4, "127.0.0.1")
            assert (await session.first(Progress)).step == 7

    run(host, scene)


def test_another_log_is_refused_until_adoption_and_nothing_stops(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            _, ranks = await train(host, daemon)
        async with Daemon(host.address, "log-b").serve() as daemon:
            session = await daemon.session()
            session.send(desired(3, stop=1, log_id="log-b"))
            session.send(replace(desired(4, run=1, log_id="log-b"), adopt_from="log-a"))
            session = await daemon.session()
            assert (session.hello.log_id, session.hello.position) == ("log-b", 4)
            assert session.hello.observed.ranks == ranks
            assert alive(ranks) == [True, True]
            assert "this node follows log log-a" in await host.says("dlroverctl node adopt n1")
            session.send(desired(5, stop=1, log_id="log-b"))
            await session.states("gone", "gone")

    run(host, scene)


def test_names_of_a_log_that_is_followed_no_longer_can_be_given_again(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            session, _ = await train(host, daemon)
            session.send(desired(11, stop=1))
            await session.states("gone", "gone")
            session.send(desired(12))
            await session.states()
        async with Daemon(host.address, "log-b").serve() as daemon:
            (await daemon.session()).send(replace(desired(1, log_id="log-b"), adopt_from="log-a"))
            session = await daemon.session()
            session.send(desired(2, run=1, log_id="log-b"))
            await session.states("running", "running")

    run(host, scene)


def test_term_ends_the_agent_in_good_order_and_no_rank(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            session, ranks = await train(host, daemon)
            assert await host.end_agent(signal.SIGTERM) == 0
            assert await session.first(Bye) == Bye(away_s=60.0)
            assert alive(ranks) == [True, True]

    run(host, scene)


def test_events_are_sent_until_the_log_has_them_and_all_of_them_to_another(host: Host) -> None:
    def names(batch: EventBatch) -> list[tuple[int, str]]:
        return [(event.sequence, event.name) for event in batch.events]

    async def scene() -> None:
        start, end = (1, "agent.start"), (2, "agent.exit")
        daemon = Daemon(host.address)
        daemon.short_by = 1
        async with daemon.serve():
            await host.start_agent()
            first = await daemon.batch()
            assert (first.node, first.boot_id, names(first)) == ("n1", boot_id(), [start])
            assert await daemon.batch() == first
            assert "upgrade the older side" in await host.says("does not take events as it should")
            daemon.short_by = 0
            assert await daemon.batch() == first
            assert await host.end_agent(signal.SIGTERM) == 0
        async with Daemon(host.address, "log-b").serve() as daemon:
            await host.start_agent()
            assert names(await daemon.batch()) == [start, end, (3, "agent.start")]

    run(host, scene)


def test_what_ranks_say_and_is_no_event_is_counted_in_one(host: Host) -> None:
    says = "import os; os.write(os.open(os.environ['DLROVERD_EVENTS_FILE'], os.O_WRONLY | os.O_APPEND), b'junk\\n' * 3)"

    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            await host.start_agent()
            session = await daemon.session()
            session.send(desired(10, script=says, run=1))
            await session.states("gone", "gone")
            dropped: dict[str, object] = {}
            while len(dropped) < 1:
                for event in (await daemon.batch()).events:
                    if event.name == "agent.events_dropped":
                        assert event.severity is Severity.WARNING
                        dropped[event.unit] = json.loads(event.body)
            assert set(dropped) <= {key(rank).unit for rank in (0, 1)}
            assert set(map(str, dropped.values())) == {str({"count": 3, "why": "a line that is no JSON"})}

    run(host, scene)


def output(daemon: Daemon, stream_id: str, rank: int) -> tuple[bytes, bool]:
    chunks = [each for each in daemon.pieces.get(stream_id, ()) if isinstance(each, LogChunk) and each.rank == rank]
    return b"".join(each.data for each in chunks), bool(chunks) and chunks[-1].eof


def test_output_arrives_up_to_its_last_line_whether_followed_or_read_afterwards(host: Host) -> None:
    script = (
        "import signal, sys; print('a\\nb', flush=True)\n"
        "try: signal.pause()\nexcept KeyboardInterrupt: sys.stdout.write('last')"
    )

    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            await host.start_agent()
            session = await daemon.session()
            session.send(desired(10, run=1, script=script))
            ranks = await session.states("running", "running")
            session.send(LogRequest(stream_id="following", sources=BOTH, follow=True))
            for each in ranks:
                await daemon.has_output("following", each.key.rank, b"a\nb\n")
                os.kill(each.pid, signal.SIGINT)
            async with asyncio.timeout(LIMIT_S):
                assert await daemon.complete.get() == "following"
            for rank in (0, 1):
                assert output(daemon, "following", rank) == (b"a\nb\nlast", True)
            session.send(desired(11))
            await session.states()
            session.send(LogRequest(stream_id="later", sources=BOTH, tail_lines=1))
            missing = (LogSource(rank=key(9)),)
            session.send(LogRequest(stream_id="missing", sources=missing))
            async with asyncio.timeout(LIMIT_S):
                assert {await daemon.complete.get(), await daemon.complete.get()} == {"later", "missing"}
            assert output(daemon, "later", 0) == (b"last", True)
            assert "log_retention" in str(daemon.pieces["missing"])

    run(host, scene)


UNKNOWN_STATE = agent_service_pb2.DaemonMessage(
    desired=agent_service_pb2.Desired(log_id="log-a", assignments=[agent_service_pb2.Assignment()])
)


@pytest.mark.parametrize(
    ("ways", "sentence"),
    [
        ({"protocol_version": 0}, "upgrade dlroverd"),
        ({"garbage": UNKNOWN_STATE}, "breaks the protocol (desired.assignments[0].round"),
        ({"refusal": CallError(Reason.DUPLICATE_NODE, "n1 is here already.")}, "n1 is here already."),
    ],
)
def test_what_is_wrong_with_the_daemon_is_one_sentence_and_the_agent_lives(
    host: Host, ways: dict[str, Any], sentence: str
) -> None:
    async def scene() -> None:
        daemon = Daemon(host.address)
        for name, value in ways.items():
            setattr(daemon, name, value)
        async with daemon.serve():
            await host.start_agent()
            await host.says(sentence)
            daemon.protocol_version, daemon.garbage, daemon.refusal = 1, None, None
            await host.says("connected")
            session = await daemon.session()
            if "refusal" not in ways:
                session = await daemon.session()
            session.send(desired(10, run=1))
            await session.states("running", "running")
            assert sum(sentence in line for line in host.lines) == 1

    run(host, scene)


@pytest.mark.parametrize(("clock_s", "off"), [(86400.0, "behind"), (-86400.0, "ahead of")])
def test_a_clock_a_day_off_is_said_once_and_the_node_works_on(host: Host, clock_s: float, off: str) -> None:
    async def scene() -> None:
        daemon = Daemon(host.address)
        daemon.clock_s = clock_s
        await host.start_agent()
        for _ in range(2):
            async with daemon.serve():
                session = await daemon.session()
                session.send(desired(10, run=1))
                await session.states("running", "running")
        assert await host.end_agent(signal.SIGTERM) == 0
        (said,) = (line for line in host.lines if "host's clock" in line)
        assert re.search(rf"clock is 86[34]\d\d s {off} the daemon's: fix NTP on the one that is wrong", said)

    run(host, scene)


def test_a_second_agent_on_one_state_directory_is_refused(host: Host) -> None:
    async def scene() -> None:
        async with Daemon(host.address).serve() as daemon:
            await host.start_agent()
            await daemon.session()
            first, host.agent = host.agent, None
            await host.start_agent()
            assert await host.agent_ended() == 1
            assert host.lines[-1].startswith("dlroverd-agent: another agent")
            host.agent = first

    run(host, scene)


def test_a_damaged_state_is_named_with_what_to_do(host: Host) -> None:
    async def scene() -> None:
        host.state_dir.mkdir()
        (host.state_dir / "followed.json").write_text('{"version": 1, "followed": {"log_id": 3}}')
        await host.start_agent()
        assert await host.agent_ended() == 1
        (line,) = host.lines
        assert "followed.json: it is damaged" in line
        assert "move it away" in line

    run(host, scene)
