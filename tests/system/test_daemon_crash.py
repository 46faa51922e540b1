"""100 deaths of one daemon in the middle of its work: nothing accepted is lost, nothing is done twice.

The daemon is killed at random moments, and on the forgetful disk at exact writes and syncs, after which what
was not synced is taken back. Jobs, ranks and agents live through all of it; they are asked at the end.
Where DLROVERD_LONG is set it dies 300 times.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from dlroverd.core import invariants
from dlroverd.core.apply import apply, begin_turn
from dlroverd.core.state import State
from dlroverd.model.event import JobSubmitted
from dlroverd.model.ids import RankKey
from dlroverd.protocol.channel import connect
from dlroverd.protocol.convert import to_proto
from dlroverd.protocol.v1 import common_pb2
from dlroverd.protocol.v1 import control_service_pb2 as pb
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from dlroverd.runtime import codec
from dlroverd.store.sqlite import SqliteStore
from tests.system.daemon_process import ROOT, spec
from tests.system.forgetful_disk import disk
from tests.system.scripted_agent import ScriptedAgent

DEATHS = 300 if os.environ.get("DLROVERD_LONG") else 100
JOBS = 20
NODES, SLOTS = 5, 9
RESERVE_BYTES = 256 * 1024
ALL = 1_000_000
FINAL = ("succeeded", "failed", "cancelled")
CONFIG = f"""
store: {{reserve: {RESERVE_BYTES}, snapshot_every: 15, keep_records: 1000000}}
limits: {{unreachable_after: 20s, lost_after: 40s}}
log: {{level: warning}}
"""


class Lives:
    """One daemon after the other, forked from a process that has imported it."""

    def __init__(self, root: Path, library: Path) -> None:
        self.state_dir = root / "disk" / "state"
        self.journal = root / "journal"
        self.address = f"unix://{root}/run/s.sock"
        self.up = asyncio.Event()
        self._root = root
        self._library = library
        self._ended: asyncio.Future[int] | None = None
        self._pid = 0
        for directory in (self.state_dir.parent, self.journal):
            directory.mkdir()
        (root / "c.yaml").write_text(CONFIG)
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._told.bind(os.fspath(root / "notify"))

    @asynccontextmanager
    async def forks(self) -> AsyncIterator[None]:
        """Have the process that forks."""
        with (self._root / "stderr").open("wb") as stderr:
            self._forks = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.system.daemon_forks"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, "LD_PRELOAD": str(self._library)},
            )
        try:
            yield
        finally:
            self.kill()
            self._forks.kill()
            await self._forks.wait()
            self._told.close()

    async def begin(self, environment: dict[str, str]) -> None:
        """Fork a daemon, and open the gates once it serves."""
        while True:  # what an earlier life said
            try:
                self._told.recv(4096)
            except BlockingIOError:
                break
        argv = ["--config", f"{self._root}/c.yaml", "--state-dir", str(self.state_dir), "--listen", self.address]
        order = {"argv": argv, "env": {**environment, "NOTIFY_SOCKET": str(self._root / "notify")}}
        assert self._forks.stdin is not None
        self._forks.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = int((await self._word("started"))[0])
        self._ended = asyncio.ensure_future(self._end())

    async def ready(self) -> bool:
        """Wait until it serves; False if it dies before."""
        assert self._ended is not None
        told = asyncio.ensure_future(asyncio.get_running_loop().sock_recv(self._told, 4096))
        either: set[asyncio.Future[Any]] = {told, self._ended}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if told.done():
            self.up.set()
            return True
        told.cancel()
        return False

    async def died_within(self, limit_s: float) -> bool:
        """Wait for its end, a while; it is still there if False."""
        assert self._ended is not None
        done, _ = await asyncio.wait({self._ended}, timeout=limit_s)
        return bool(done)

    async def bury(self) -> int:
        """Kill it if it lives; gives its status."""
        self.kill()
        assert self._ended is not None
        status = await self._ended
        self.up.clear()
        return status

    def kill(self) -> None:
        """Send SIGKILL, if there is one to send it to."""
        if self._ended is not None and not self._ended.done():
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    async def _end(self) -> int:
        return int((await self._word("ended"))[1])

    async def _word(self, expected: str) -> list[str]:
        assert self._forks.stdout is not None
        word, *rest = (await self._forks.stdout.readline()).decode().split()
        assert word == expected
        return rest


class Load:
    """Clients that keep jobs in flight, and agents whose ranks end by themselves, some of them badly."""

    def __init__(self, lives: Lives, rng: random.Random) -> None:
        self.accepted: dict[str, int] = {}
        self.ended: Counter[str] = Counter()
        self.enough = asyncio.Event()
        self._lives = lives
        self._rng = rng
        self.agents = [ScriptedAgent(f"n{n}", SLOTS, self._live_a_while) for n in range(NODES)]

    def _live_a_while(self, agent: ScriptedAgent, key: RankKey) -> None:
        code = 1 if self._rng.random() < 0.15 else 0
        asyncio.get_running_loop().call_later(self._rng.uniform(0.02, 0.4), agent.end, key, code)

    async def stay_connected(self, agent: ScriptedAgent) -> None:
        """Dial whenever a daemon is there."""
        while True:
            await self._lives.up.wait()
            try:
                await agent.session(self._lives.address)
            except* grpc.aio.AioRpcError:
                await asyncio.sleep(0.01)

    async def keep_a_job(self, worker: int) -> None:
        """Submit one job after the other and follow each to its end; ask again what a death left open."""
        number = 0
        while not self.enough.is_set():
            number += 1
            await self._see_through(f"{worker}-{number}")

    async def _see_through(self, request_id: str) -> None:
        wanted = spec(f"job-{request_id}", ranks=2, nodes=1 + self._rng.randrange(2))
        request = pb.SubmitJobRequest(request_id=request_id, spec=to_proto(wanted, common_pb2.JobSpec))
        while True:
            await self._lives.up.wait()
            async with connect(self._lives.address) as channel:
                stub = ControlServiceStub(channel)
                try:
                    job = (await stub.SubmitJob(request)).job
                    assert self.accepted.setdefault(request_id, job) == job, "one request became two jobs"
                    async for view in stub.WatchJob(pb.WatchJobRequest(job=job)):
                        if view.state in FINAL:
                            self.ended[view.state] += 1
                            return
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
            await asyncio.sleep(0.01)


class Checker:
    """Reads the log of a dead daemon, and keeps the state that its events come to."""

    def __init__(self, lives: Lives, load: Load) -> None:
        self.state = State("")
        self.snapshots = 0
        self.events = 0
        self._lives = lives
        self._load = load
        self.submitted: dict[str, int] = {}
        self._checked: set[str] = set()

    def check(self) -> None:
        """See that what was told to anyone is in the log, and that the log comes to what the daemon had."""
        with closing(SqliteStore(self._lives.state_dir, reserve_bytes=RESERVE_BYTES)) as store:
            if not self.state.log_id:
                self.state = State(store.log_id)
            assert store.log_id == self.state.log_id
            last = store.last_position()
            told = max(agent.desired.position for agent in self._load.agents)
            assert max(told, self.state.m.position) <= last, "an agent was told what is not in the log"
            snapshot = store.latest_snapshot()
            for record in store.read(self.state.m.position, ALL):
                begin_turn(self.state, record.position, record.now)
                for event in codec.EVENTS.decode(record.events):
                    apply(self.state, event)
                    self.events += 1
                    if isinstance(event, JobSubmitted):
                        self.submitted[event.request_id] = event.job
                if snapshot is not None and snapshot.position == record.position:
                    assert codec.encode_tables(codec.tables_of(self.state)) == snapshot.state
                    self.snapshots += 1
        for request_id in self._load.accepted.keys() - self._checked:
            assert self.submitted[request_id] == self._load.accepted[request_id], "a job was lost"
            self._checked.add(request_id)
        assert invariants.check(self.state) == []
        for agent in self._load.agents:
            twice = [str(key) for key, count in agent.starts.items() if count > 1]
            assert not twice, f"started twice: {twice}"


async def one_life(lives: Lives, rng: random.Random, *, forgetful: bool) -> None:
    """Let a daemon live until it is killed, here or by the disk; then cut the power, if the disk is such."""
    environment = {}
    if forgetful:
        when: disk.Moment = rng.choice(["before", "after"])
        environment = disk.environment(
            lives._library, lives.state_dir.parent, lives.journal, kill_at=rng.randint(1, 250), when=when
        )
        del environment["LD_PRELOAD"]
    await lives.begin(environment)
    if rng.random() < 0.1:
        await lives.died_within(rng.uniform(0, 0.05))  # while it starts
    elif await lives.ready():
        await lives.died_within(0.25 if forgetful else rng.uniform(0.02, 0.2))
    assert await lives.bury() == -signal.SIGKILL
    if forgetful:
        disk.forget(lives.state_dir.parent, lives.journal, seed=rng.randrange(ALL))


async def storm(root: Path, seed: int) -> None:
    rng = random.Random(seed)
    lives = Lives(root, disk.build(root))
    load = Load(lives, rng)
    checker = Checker(lives, load)
    async with lives.forks(), asyncio.TaskGroup() as group:
        agents = [group.create_task(load.stay_connected(agent)) for agent in load.agents]
        await lives.begin({})  # a calm first life, in which the fleet comes to be
        assert await lives.ready()
        for agent in load.agents:
            await agent.until(lambda agent=agent: bool(agent.received))  # type: ignore[misc]
        await lives.bury()
        workers = [group.create_task(load.keep_a_job(worker)) for worker in range(JOBS)]
        for death in range(DEATHS):
            await one_life(lives, rng, forgetful=death % 2 == 1)
            checker.check()
        load.enough.set()
        await lives.begin({})
        assert await lives.ready()
        await asyncio.wait(workers)
        for task in agents:  # while the daemon lives: an error at the same moment would swallow the cancellation
            task.cancel()
        await asyncio.wait(agents)
        await lives.bury()
        checker.check()
    sys.stdout.write(
        f"{DEATHS} deaths, {len(load.accepted)} jobs ({dict(load.ended)}), {checker.events} changes, "
        f"{checker.snapshots} snapshots compared\n"
    )
    assert (root / "stderr").read_text() == ""
    assert {job.state for job in checker.state.jobs.values()} <= set(FINAL)
    assert checker.submitted == load.accepted
    assert checker.events >= 10 * DEATHS
    assert checker.snapshots >= DEATHS / 50


@pytest.mark.timeout(600)
def test_no_death_of_the_daemon_loses_or_repeats_anything(tmp_path: Path) -> None:
    seed = int(os.environ.get("DLROVERD_SEED", random.SystemRandom().randrange(ALL)))
    sys.stdout.write(f"DLROVERD_SEED={seed}\n")
    asyncio.run(storm(tmp_path.resolve(), seed))
