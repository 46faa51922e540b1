"""What the daemon answers to batches of events, good ones and those that no agent of ours would send."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest

from dlroverd.model.spooled import EventBatch, EventsTaken, SpooledEvent
from dlroverd.protocol.channel import connect
from dlroverd.protocol.convert import from_proto, to_proto
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import agent_service_pb2 as agent_pb
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from tests.system.daemon_process import DaemonProcess
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving

GOOD = SpooledEvent(sequence=1, name="user.x", time=5.0, monotonic=1.0, body='{"a":1}')
BATCH = EventBatch(node="n1", spool="s1", boot_id="b", events=(GOOD, replace(GOOD, sequence=2)))


@asynccontextmanager
async def node(tmp_path: Path) -> AsyncIterator[tuple[DaemonProcess, AgentServiceStub]]:
    """Serve, with node n1 known; gives the daemon and what its agent calls."""
    agent = ScriptedAgent("n1", 2, idle)
    async with serving(tmp_path) as daemon, connected(agent, daemon.address), connect(daemon.address) as wire:
        yield daemon, AgentServiceStub(wire)


async def answer(stub: AgentServiceStub, *batches: EventBatch) -> list[EventsTaken]:
    """Push batches on one call; CallError if one is refused."""
    call = stub.PushEvents()
    taken = []
    try:
        for batch in batches:
            await call.write(to_proto(batch, agent_pb.EventBatch))
            reply = await call.read()
            assert isinstance(reply, agent_pb.EventsTaken)
            taken.append(from_proto(reply, EventsTaken))
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error, "there") from None
    return taken


def test_each_batch_is_answered_with_what_the_log_has(tmp_path: Path) -> None:
    async def test() -> None:
        async with node(tmp_path) as (daemon, stub):
            third = replace(BATCH, events=(replace(GOOD, sequence=7),))
            another = replace(BATCH, spool="s2", events=(GOOD,))
            taken = await answer(stub, BATCH, BATCH, third, BATCH, another)
            assert [(each.spool, each.sequence) for each in taken] == [
                *(("s1", last) for last in (2, 2, 7, 7)),
                ("s2", 1),
            ]
            await daemon.stop(signal.SIGKILL)
            await daemon.start()
            with daemon.client() as client:
                assert len([view for view in client.events(node="n1") if view.name == "user.x"]) == 4

    run(test())


def test_what_nodes_say_at_a_time_is_one_record_and_no_large_one(tmp_path: Path) -> None:
    many = replace(BATCH, events=tuple(replace(GOOD, sequence=number) for number in range(1, 401)))

    async def test() -> None:
        other = ScriptedAgent("n2", 2, idle)
        async with node(tmp_path) as (daemon, stub), connected(other, daemon.address):
            await asyncio.gather(answer(stub, BATCH), answer(stub, replace(BATCH, node="n2")))
            await asyncio.gather(
                answer(stub, replace(many, spool="s2")), answer(stub, replace(many, node="n2", spool="s2"))
            )
            with daemon.client() as client:
                records = Counter(view.position for view in client.events() if view.name == "user.x")
            assert list(records.values()) == [4, 400, 400]

    run(test())


def test_batches_that_make_no_sense_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    cases = (
        (replace(BATCH, node="n9"), Reason.NOT_FOUND, "has not said hello"),
        (replace(BATCH, events=()), Reason.INVALID, "has 0 events"),
        (replace(BATCH, events=tuple(replace(GOOD, sequence=n) for n in range(1, 502))), Reason.INVALID, "501 events"),
        (replace(BATCH, spool=""), Reason.INVALID, "of spool ''"),
        (replace(BATCH, events=(GOOD, GOOD)), Reason.INVALID, "event 1 after 1"),
        (replace(BATCH, events=(replace(GOOD, sequence=0),)), Reason.INVALID, "event 0 after 0"),
        (replace(BATCH, events=(replace(GOOD, name="job_moved"),)), Reason.INVALID, "'job_moved' is none"),
        (replace(BATCH, events=(replace(GOOD, body="[]"),)), Reason.INVALID, "no JSON object"),
        (replace(BATCH, events=(replace(GOOD, body="[" * 100_000),)), Reason.INVALID, "no JSON object"),
        (replace(BATCH, events=(replace(GOOD, body='{"a":"%s"}' % ("x" * 300_000)),)), Reason.INVALID, "300008 char"),
        (replace(BATCH, events=(replace(GOOD, time=float("nan")),)), Reason.INVALID, "not a finite number"),
    )

    async def test() -> None:
        async with node(tmp_path) as (daemon, stub):
            for batch, reason, words in cases:
                with pytest.raises(CallError, match=words) as refused:
                    await answer(stub, batch)
                assert refused.value.reason is reason
            await answer(stub, BATCH)
            with daemon.client() as client:
                assert len([view for view in client.events(node="n1") if view.name == "user.x"]) == 2

    run(test())
