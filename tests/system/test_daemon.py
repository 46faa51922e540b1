"""The daemon as a process: real sockets, a real log, and agents that speak the real protocol."""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import pytest

from dlroverd.client import Client
from dlroverd.model.ids import RankKey
from dlroverd.model.view import JobView, LogChunk
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.messages import LogFailed
from tests.system.daemon_process import DEADLINE_S, DaemonProcess, spec, until
from tests.system.scripted_agent import ReadoptedError, ScriptedAgent

T = TypeVar("T")


def run(test: Coroutine[Any, Any, None]) -> None:
    async def within_a_minute() -> None:
        async with asyncio.timeout(60):
            await test

    asyncio.run(within_a_minute())


@asynccontextmanager
async def serving(root: Path, *options: str) -> AsyncIterator[DaemonProcess]:
    daemon = DaemonProcess(root, *options)
    await daemon.start()
    try:
        yield daemon
    finally:
        if daemon.process is not None and daemon.process.returncode is None:
            await daemon.stop(signal.SIGKILL)
    assert '"logger": "dlroverd.api"' not in daemon.said(), "a call failed in a way that nobody thought of"
    assert '"logger": "dlroverd.loop"' not in daemon.said()


async def held_on_disk(daemon: DaemonProcess, *texts: bytes) -> None:
    """Wait until the daemon holds these pieces of output, in case their node goes away."""
    while True:
        segments = (path.read_bytes() for path in daemon.state_dir.glob("output/*/*/*/[0-9]*"))
        found = b"".join(segments)
        if all(text in found for text in texts):
            return
        await asyncio.sleep(0.02)


def idle(_agent: ScriptedAgent, _key: RankKey) -> None:
    """Let a rank run on."""


@asynccontextmanager
async def connected(agent: ScriptedAgent, address: str) -> AsyncIterator[None]:
    """Keep an agent connected, dialling anew whenever a session ends."""

    async def stay() -> None:
        while True:
            try:
                await agent.session(address)
            except* (grpc.aio.AioRpcError, ReadoptedError):
                await asyncio.sleep(0.02)

    told = len(agent.received) + len(agent.refused)
    task = asyncio.create_task(stay())
    try:
        async with asyncio.timeout(DEADLINE_S):
            await agent.until(lambda: len(agent.received) + len(agent.refused) > told)
        yield
    finally:
        task.cancel()


def test_a_job_from_submit_to_its_end(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 4, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=2))
                view = await until(client, job, lambda v: v.state == "running")
                (gang,) = view.roles[0].gangs
                assert [(r.rank, r.node, r.state) for r in gang.ranks] == [(0, "n1", "running"), (1, "n1", "running")]
                assert gang.master.startswith("127.0.0.1:")
                (node,) = client.nodes()
                assert (node.id, node.state, node.slots, node.free, node.jobs) == ("n1", "ready", 4, 2, (job,))
                agent.step(min(agent.starts), 7)
                await until(client, job, lambda v: v.roles[0].gangs[0].step == 7)
                for key in agent.starts:
                    agent.end(key)
                view = await until(client, job, lambda v: v.state == "succeeded")
                assert [rank.exit for rank in view.roles[0].gangs[0].ranks] == ["0", "0"]
                names = [event.name for event in client.events(job=job)]
                assert names[0] == "job_submitted"
                assert {"world_formed", "ranks_seen", "step_seen", "gang_released"} <= set(names)
                assert [e.name for e in client.events(job=job, limit=2)] == names[-2:]
                stored = client.job(job, with_spec=True).spec
                assert stored is not None
                assert stored == replace(spec(ranks=2), run_id=stored.run_id)

    run(test())


def test_a_failed_rank_opens_an_incident_and_the_job_goes_on(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=2))
                await until(client, job, lambda v: v.state == "running")
                first = sorted(agent.starts)
                agent.end(first[0], code=3)
                view = await until(client, job, lambda v: v.state == "running" and v.roles[0].gangs[0].round == 2)
                assert view.restarts == 1
                second = sorted(key for key in agent.starts if key.round == 2)
                agent.step(second[0], 1)
                view = await until(client, job, lambda v: not v.incidents[0].open)
                (incident,) = view.incidents
                assert incident.cause is not None
                assert incident.cause.rank == first[0]
                phases = incident.phases
                parts = (phases.detect, phases.stop, phases.decide, phases.wait, phases.start, phases.load)
                assert None not in parts
                assert phases.unknown == 0
                assert phases.total == pytest.approx(sum(part or 0 for part in parts))
                assert set(agent.starts.values()) == {1}

    run(test())


def lasting(job: JobView) -> JobView:
    """Leave out what goes on with the time."""
    roles = [replace(role, gangs=tuple(replace(gang, hang=None) for gang in role.gangs)) for role in job.roles]
    return replace(job, goodput=None, roles=tuple(roles))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restarted_daemon_finds_its_jobs_and_restarts_nothing(tmp_path: Path, number: signal.Signals) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 4, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=2))
                before = await until(client, job, lambda v: v.state == "running")
                at = client.info()
                status = await daemon.stop(number)
                assert status == (0 if number is signal.SIGTERM else -number)
                told = len(agent.received)
                await daemon.start()
                async with asyncio.timeout(DEADLINE_S):
                    await agent.until(lambda: len(agent.received) > told)
                assert client.info().log_id == at.log_id
                assert client.info().position >= at.position
                assert lasting(client.job(job)) == lasting(before)
                assert agent.received[-1].assignments == agent.received[told - 1].assignments
                for key in list(agent.starts):
                    agent.end(key)
                await until(client, job, lambda v: v.state == "succeeded")
                assert set(agent.starts.values()) == {1}

    run(test())


def test_a_wiped_state_directory_kills_nothing_and_adopt_takes_the_ranks_in(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 4, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=2))
                await until(client, job, lambda v: v.state == "running")
                await daemon.stop(signal.SIGKILL)
                shutil.rmtree(daemon.state_dir)
                await daemon.start()
                async with asyncio.timeout(DEADLINE_S):
                    await agent.until(lambda: bool(agent.refused))
                (node,) = client.nodes()
                assert (node.state, len(node.orphans)) == ("foreign", 2)
                assert client.jobs() == []
                assert all(rank.exit is None for rank in agent.ranks.values())
                await asyncio.to_thread(client.adopt, "n1")
                view = await until(client, job, lambda v: v.state == "running")
                assert client.nodes()[0].orphans == ()
                assert [rank.state for rank in view.roles[0].gangs[0].ranks] == ["running", "running"]
                for key in list(agent.starts):
                    agent.end(key)
                await until(client, job, lambda v: v.state == "succeeded")
                assert set(agent.starts.values()) == {1}

    run(test())


def test_output_comes_from_the_agent_and_a_node_that_is_away_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon:
            with daemon.client() as client:
                async with connected(agent, daemon.address):
                    job = await asyncio.to_thread(client.submit, spec(ranks=2))
                    await until(client, job, lambda v: v.state == "running")
                    for key in agent.starts:
                        agent.outputs[key] = f"I am {key.rank}".encode()
                    pieces = await asyncio.to_thread(lambda: list(client.logs(job)))
                    assert sorted(piece.data for piece in pieces if isinstance(piece, LogChunk)) == [
                        b"I am 0",
                        b"I am 1",
                    ]
                    (one,) = await asyncio.to_thread(lambda: list(client.logs(job, ranks=[1])))
                    assert isinstance(one, LogChunk)
                    assert (one.data, one.rank, one.node, one.eof) == (b"I am 1", 1, "n1", True)
                    with pytest.raises(CallError, match="no job 99"):
                        await asyncio.to_thread(lambda: list(client.logs(99)))
                    await bounded(held_on_disk(daemon, b"I am 0", b"I am 1"))
                *held, failed = await asyncio.to_thread(lambda: list(client.logs(job)))
                assert sorted(piece.data for piece in held if isinstance(piece, LogChunk)) == [b"I am 0", b"I am 1"]
                assert failed == LogFailed(
                    node="n1",
                    sentence="Node n1 is not connected: its output after byte 6 of rank 0, after byte 6 of rank 1 "
                    "cannot be had.",
                )

    run(test())


def test_followed_output_goes_on_through_restarts_of_the_agent_and_of_the_job(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 1, idle)
        async with serving(tmp_path) as daemon:
            with daemon.client() as client:
                async with connected(agent, daemon.address):
                    job = await asyncio.to_thread(client.submit, spec(ranks=1))
                    await until(client, job, lambda v: v.state == "running")
                    (first,) = agent.starts
                    agent.outputs[first] = b"one "
                    following = asyncio.create_task(asyncio.to_thread(lambda: list(client.logs(job, follow=True))))
                    await bounded(agent.until(lambda: agent.pushing == 2))  # ours, and the daemon's own copy
                agent.outputs[first] += b"two"
                async with connected(agent, daemon.address):
                    await bounded(agent.until(lambda: agent.pushing == 2))  # ours, and the daemon's own copy
                    agent.end(first, code=1)
                    await until(client, job, lambda v: v.state == "running" and v.restarts == 1)
                    (second,) = (key for key in agent.starts if key.round == 2)
                    agent.outputs[second] = b"three"
                    await bounded(agent.until(lambda: agent.pushing == 2))  # ours, and the daemon's own copy
                    agent.end(second)
                    pieces = [piece for piece in await bounded(following) if isinstance(piece, LogChunk)]
        texts: dict[int, bytes] = {1: b"", 2: b""}
        for piece in pieces:
            assert piece.offset == len(texts[piece.round])
            texts[piece.round] += piece.data
        assert texts == {1: b"one two", 2: b"three"}
        assert [piece.round for piece in pieces if piece.eof] == [1, 2]

    run(test())


def test_an_agent_stops_pushing_output_that_nobody_reads(tmp_path: Path) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 1, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=1))
                await until(client, job, lambda v: v.state == "running")
                reading = client.logs(job, follow=True)
                await asyncio.to_thread(next, reading)
                await bounded(agent.until(lambda: agent.pushing == 2))  # ours, and the daemon's own copy
                reading.close()  # type: ignore[attr-defined]
                await bounded(agent.until(lambda: agent.pushing == 1))
                assert agent.welcomed.is_set()

    run(test())


async def bounded(waiting: Awaitable[T]) -> T:
    """Wait for something, not for ever."""
    async with asyncio.timeout(DEADLINE_S):
        return await waiting


def test_a_second_agent_under_one_name_is_refused_and_named(tmp_path: Path) -> None:
    async def test() -> None:
        first, second = ScriptedAgent("n1", 2, idle), ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path) as daemon, connected(first, daemon.address):
            error = await refusal(second, daemon.address)
            assert error.reason is Reason.DUPLICATE_NODE
            assert "n1" in error.sentence
            assert first.welcomed.is_set()

    run(test())


async def refusal(agent: ScriptedAgent, address: str) -> CallError:
    """Open a session that must be refused, and give what the agent is told."""
    try:
        await agent.session(address)
    except* grpc.aio.AioRpcError as errors:
        (error,) = errors.exceptions
        assert isinstance(error, grpc.aio.AioRpcError)
        found = from_rpc(error, address)
    return found


def test_a_silent_node_becomes_unreachable_and_comes_back(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("limits: {unreachable_after: 300ms}\n")

    async def test() -> None:
        agent = ScriptedAgent("n1", 2, idle)
        async with serving(tmp_path, "--config", str(config)) as daemon:
            with daemon.client() as client:
                async with connected(agent, daemon.address):
                    assert client.nodes()[0].state == "ready"
                await _event(client, "node_moved", "unreachable")
                async with connected(agent, daemon.address):
                    await _event(client, "node_moved", "heard")

    run(test())


async def _event(client: Client, name: str, word: str) -> None:
    def follow() -> None:
        for event in client.events(names=[name], follow=True):
            if word in event.body:
                return

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.to_thread(follow)
