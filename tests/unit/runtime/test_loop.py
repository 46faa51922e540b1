"""Turns: nothing is let out before it is durable, and no input takes the daemon down."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.limits import Limits
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.runtime import codec
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.inbox import TURN, Entry, Inbox
from dlroverd.runtime.journal import Journal, replay
from dlroverd.runtime.loop import Batch, Loop
from dlroverd.runtime.meters import Meters
from dlroverd.store.sqlite import SqliteStore
from tests.unit.runtime.fleet import hello, spec
from tests.unit.store.test_disk_full import SmallDisk, mount_tmpfs


class Running:
    """A loop that turns, and what it let out."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.state = State(store.log_id)
        self.inbox = Inbox()
        self.journal = Journal(store, snapshot_every=1000, keep_records=1000, readers=[])
        self.released: list[Batch] = []
        self.turned = asyncio.Event()
        self.loop = Loop(
            state=self.state,
            journal=self.journal,
            inbox=self.inbox,
            clock=Clock(0.0),
            limits=Limits(),
            release=self.release,
            turned=self.turned.set,
            meters=Meters(),
        )

    def release(self, batch: Batch) -> None:
        assert self.journal.position == self.state.m.position
        assert self.store.last_position() == self.state.m.position
        self.released.append(batch)
        for entry, result in batch.answers:
            if entry.settle is not None:
                entry.settle(result)

    async def turn(self) -> None:
        """Wait until it has come round once more."""
        self.turned.clear()
        await self.turned.wait()


@asynccontextmanager
async def running(directory: Path, reserve_bytes: int = 64 * 1024) -> AsyncIterator[Running]:
    under_test = Running(SqliteStore(directory / "state", reserve_bytes=reserve_bytes))
    task = asyncio.create_task(under_test.loop.run())
    try:
        yield under_test
    finally:
        under_test.loop.stop()
        await task
        await under_test.journal.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await test

    asyncio.run(bounded())


def submit(name: str) -> inp.Submit:
    return inp.Submit(request_id=name, spec=spec())


def test_what_waits_together_is_one_turn_and_one_record(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as it:
            jobs = await asyncio.gather(*(it.inbox.ask(submit(f"r{n}")) for n in range(20)))
            assert jobs == list(range(1, 21))
            assert it.store.last_position() == 1
            assert codec.encode_tables(codec.tables_of(replay(it.store))) == codec.encode_tables(
                codec.tables_of(it.state)
            )

    run(test())


def test_one_poisonous_input_is_refused_and_the_rest_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        async with running(tmp_path) as it:
            poison = inp.Submit(request_id="poison", spec=None)  # type: ignore[arg-type]
            results = await asyncio.gather(
                *(it.inbox.ask(item) for item in (submit("a"), poison, submit("b"))), return_exceptions=True
            )
            assert (results[0], results[2]) == (1, 2)
            assert isinstance(results[1], CallError)
            assert results[1].reason is Reason.INTERNAL
            assert await it.inbox.ask(submit("c")) == 3
            assert it.store.last_position() == 3

    run(test())
    assert "the core failed on an input" in "".join(capfd.readouterr())


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a small file system")
    mount_tmpfs(tmp_path)
    try:
        yield SmallDisk(tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_holds_everything_back_and_loses_nothing(small: SmallDisk) -> None:
    async def test() -> None:
        async with running(small.mount, reserve_bytes=0) as it:
            small.fill()
            waiting = asyncio.create_task(it.inbox.ask(submit("a")))
            await _until(it, lambda: bool(it.journal.full))
            assert not any(batch.answers for batch in it.released)
            assert not waiting.done()
            with pytest.raises(CallError, match="free some"):
                await it.loop.look(lambda state: len(state.jobs))
            small.clear()
            assert await waiting == 1
            assert await it.loop.look(lambda state: len(state.jobs)) == 1
            assert it.journal.full == ""

    run(test())


def test_stopping_while_the_disk_is_full_lets_nothing_out(small: SmallDisk) -> None:
    async def test() -> None:
        async with running(small.mount, reserve_bytes=0) as it:
            small.fill()
            waiting = asyncio.create_task(it.inbox.ask(submit("a")))
            await _until(it, lambda: bool(it.journal.full))
        assert not any(batch.answers for batch in it.released)
        assert not waiting.done()
        waiting.cancel()

    run(test())


def test_short_space_refuses_new_jobs_until_it_is_back(small: SmallDisk) -> None:
    async def test() -> None:
        async with running(small.mount, reserve_bytes=4 << 20) as it:
            small.fill()
            assert await it.inbox.ask(submit("a")) == 1  # the reserve gives room; from here on it is known
            await _until(it, lambda: it.state.m.storage_low)
            with pytest.raises(CallError, match="disk is full") as refused:
                await it.inbox.ask(submit("b"))
            assert refused.value.reason is Reason.STORAGE_LOW
            await it.inbox.ask(inp.Cancel(request_id="c", job=1, actor="me"))
            small.clear()
            keeper = asyncio.create_task(it.loop.keep_reserve())
            await _until(it, lambda: not it.state.m.storage_low)
            keeper.cancel()
            assert await it.inbox.ask(submit("b")) == 2

    run(test())


async def _until(it: Running, met: Callable[[], bool]) -> None:
    while not met():
        await it.turn()


def test_a_full_inbox_refuses_clients_and_drops_what_agents_say_again() -> None:
    async def test() -> None:
        inbox = Inbox(capacity=1)
        assert inbox.offer(Entry(hello("n1")))
        assert not inbox.offer(Entry(hello("n2")))
        with pytest.raises(CallError, match="try again") as refused:
            await inbox.ask(submit("a"))
        assert refused.value.reason is Reason.UNAVAILABLE
        inbox.put(Entry(inp.NodeSilent(node="n1")))
        assert [type(entry.input) for entry in await inbox.take(1.0)] == [inp.NodeHello, inp.NodeSilent]

    run(test())


def test_a_turn_takes_so_many_and_the_next_one_the_rest_while_clients_are_still_heard() -> None:
    async def test() -> None:
        inbox = Inbox(capacity=1)
        for number in range(TURN + 1):
            inbox.put(Entry(hello(f"n{number}")))
        asked = asyncio.create_task(inbox.ask(submit("a")))
        await asyncio.sleep(0)
        first, second = await inbox.take(1.0), await inbox.take(1.0)
        assert [entry.input for entry in first] == [hello(f"n{number}") for number in range(TURN)]
        assert [type(entry.input) for entry in second] == [inp.NodeHello, inp.Submit]
        assert inbox.offer(Entry(hello("again")))
        asked.cancel()

    run(test())


def test_closing_the_inbox_answers_what_waits() -> None:
    async def test() -> None:
        inbox = Inbox()
        waiting = asyncio.create_task(inbox.ask(submit("a")))
        await asyncio.sleep(0)
        inbox.close()
        for late in (waiting, inbox.ask(submit("b"))):
            with pytest.raises(CallError, match="stopping"):
                await late

    run(test())


def test_a_deadline_is_met_without_any_input(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as it:
            await it.inbox.ask(hello("n1"))
            await it.inbox.ask(submit("a"))
            assert it.state.placing == {1}  # nobody answers the question
            await _until(it, lambda: not it.state.placing)
            assert it.state.jobs[1].state == "starting"
            assert it.released[-1].desired[0][0] == "n1"

    run(test())
