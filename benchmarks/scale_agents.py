"""Simulated agents: one process full of them, told what to do by lines of JSON on its standard input.

Of the real agent each has the link (its own mutual TLS connection, certificate, key, channel and session) and the core,
which decides all that is said. What is not there is the host: a rank runs the moment it is to start and is gone the
moment it is to stop, a check finds its master reached, nothing is kept on disk, and ranks write no output (the calls
that wait for it are held open all the same). A job's spec is read once for the agents of a process. So what is measured
is the daemon, the wire, and the agents' talking.
"""

import asyncio
import gc
import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import structlog
from dlroverd_agent import core
from dlroverd_agent.link import Link
from dlroverd_agent.progress import is_turn
from scale_open_files import allow_connections

from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.job import RankState
from dlroverd.model.node import NodeFacts
from dlroverd.model.view import LogChunk
from dlroverd.model.world import Desired, NodeCheck, Progress, RankObservation
from dlroverd.protocol.channel import TlsFiles
from dlroverd.protocol.messages import (
    Ack,
    Beat,
    Heard,
    Hello,
    LogOpen,
    LogPiece,
    LogRequest,
    StackRequest,
    Stacks,
    Welcome,
)
from dlroverd.protocol.version import PROTOCOL_VERSION

SLOTS = 8
BEAT_S = 5.0
# Agents of this process that dial at once when it starts; after a daemon's restart they dial as they like.
_DIALLING = 32
_TICK_S = 1.0


@dataclass(slots=True)
class Notes:
    """What the agents of this process saw. Times are CLOCK_MONOTONIC, which all processes share; `worlds` has for
    each `job@round` how many agents were told to run it, and when the last one was.
    """

    reconciled: int = 0
    reconciled_at: float = 0.0
    worlds: dict[str, tuple[int, float]] = field(default_factory=dict)
    round_trips_s: list[float] = field(default_factory=list)


class Agent:
    """One node's agent."""

    def __init__(
        self, number: int, address: str, tls: TlsFiles, notes: Notes, first_reconciled: Callable[[], None]
    ) -> None:
        """Make the agent of the `number`-th node of the fleet."""
        node = node_name(number)
        own = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        self._facts = NodeFacts(
            hostname=node,
            address=own,
            cpus=96,
            memory_bytes=1 << 40,
            slots=SLOTS,
            agent_version="bench",
            addresses=(own,),
            peer_port=7701,
        )
        self._node = node
        self._notes = notes
        self._first_reconciled: Callable[[], None] | None = first_reconciled
        self._core = core.AgentCore(node, core.Followed())
        self._actions: deque[core.Action] = deque()
        self._moved = asyncio.Event()
        self._told: set[str] = set()
        self._trains: set[RoundKey] = set()
        self.reconciled = False
        self.link = Link([address], self, tls)
        self._feed(core.Recovered(()))

    # ---- the link's peer

    async def hello(self, address: str) -> Hello:  # noqa: ARG002 - all facts are known
        """Say who this node is."""
        followed = self._core.followed
        return Hello(
            node=self._node,
            protocol_version=PROTOCOL_VERSION,
            facts=self._facts,
            boot_id="boot",
            log_id=followed.log_id,
            position=followed.position,
            observed=self._core.observed(),
            held=followed.held,
            instance=self._node,
        )

    def beat(self) -> Beat:
        """Say how far this node is; one that trains says with it how far its job is, as often as the real one does."""
        followed = self._core.followed
        beats = int(time.monotonic() / BEAT_S)
        for each in followed.held.assignments:
            first = each.round not in self._trains
            if not each.checking and (first or is_turn(beats, each.group_rank, each.group_world_size)):
                self.link.send(Progress(round=each.round, step=int(time.time()), at=time.time()))
                self._trains = {each.round}
        return Beat(
            applied_log_id=followed.log_id,
            applied_position=followed.position,
            observed_version=self._core.version,
        )

    def welcomed(self, hello: Hello, welcome: Welcome) -> None:  # noqa: ARG002 - the clock is this machine's
        """Begin a session."""
        self._feed(core.Connected(hello.observed.version))

    def received(self, message: Desired | Ack | Heard) -> None:
        """Take what the daemon says."""
        if isinstance(message, Desired):
            for each in message.assignments:
                world = f"{each.round.job}@{each.round.round}"
                if not each.checking and world not in self._told:
                    self._told.add(world)
                    count, _ = self._notes.worlds.get(world, (0, 0.0))
                    self._notes.worlds[world] = (count + 1, time.monotonic())
            self._feed(core.DesiredArrived(message))
            return
        if isinstance(message, Heard):
            self._notes.round_trips_s.append(time.monotonic() - message.asked_at)
            return
        if not self.reconciled:
            self.reconciled = True
            if self._first_reconciled is not None:
                self._first_reconciled()
                self._first_reconciled = None
            self._notes.reconciled += 1
            self._notes.reconciled_at = time.monotonic()
        self._feed(core.Acked(message.observed_version))

    def parted(self) -> None:
        """Go on without the daemon."""
        self._notes.reconciled -= self.reconciled
        self.reconciled = False
        self._feed(core.Disconnected())

    async def stacks(self, request: StackRequest) -> Stacks:
        """Nobody asks for any."""
        return Stacks(id=request.id, ranks=())

    async def logs(self, request: LogRequest) -> AsyncGenerator[LogPiece, None]:
        """Hold the call until the ranks asked for are gone, which wrote nothing."""
        yield LogOpen(stream_id=request.stream_id)
        for source in request.sources:
            key = source.rank
            while (seen := self._core.seen(key)) is not None and seen.state is not RankState.GONE:
                self._moved.clear()
                await self._moved.wait()
            yield LogChunk(
                role=key.role,
                gang=key.gang,
                round=key.round,
                rank=key.rank,
                node=self._node,
                offset=source.from_offset,
                data=b"",
                eof=True,
            )

    # ---- what is done to it

    def probe(self) -> None:
        """Send a beat that is to be answered, as those of agents with leases are."""
        if self.reconciled:
            self.link.send(replace(self.beat(), asked_at=time.monotonic()))

    def tick(self) -> None:
        """Have it say again what was not acknowledged in time."""
        self._feed(core.Ticked())

    def kill(self) -> None:
        """Have the first rank that runs here die of SIGKILL."""
        seen = next(each for each in self._core.observed().ranks if each.state is RankState.RUNNING)
        self._end(seen.key, signal=9, requested=False)

    def _end(self, key: RankKey, *, signal: int, requested: bool) -> None:
        exit_ = ExitInfo(exited_at=time.time(), signal=signal, requested=requested)
        self._feed(core.RankChanged(RankObservation(key=key, state=RankState.GONE, exit=exit_)))
        self._moved.set()

    def _feed(self, item: core.Input) -> None:
        """Have the core take an input, and do what follows; what that leads to waits for its turn."""
        idle = not self._actions
        self._actions.extend(self._core.handle(item, time.monotonic()))
        while idle and self._actions:
            action = self._actions[0]
            self._act(action)
            self._actions.popleft()

    def _act(self, action: core.Action) -> None:
        match action:
            case core.SendObserved():
                self.link.send(action.observed)
            case core.Start():
                running = RankObservation(key=action.key, state=RankState.RUNNING, pid=4711, started_at=time.time())
                self._feed(core.RankChanged(running))
            case core.Stop():
                self._end(action.key, signal=15, requested=True)
            case core.Check():
                master = action.assignment.master
                reached = master.addresses if master is not None else ()
                check = NodeCheck(round=action.assignment.round, reached=reached)
                self._feed(core.Checked(action.assignment, check))
            case core.CallSuspects():
                for each in action.suspects:
                    self._feed(core.SuspectCalled(each.node, answers=True))
            case _:
                pass  # there is no disk, nothing to be told to ranks, and nothing that other agents could tell


class Process:
    """The agents of this process, and the one that they obey."""

    def __init__(self, address: str, tls: Path, first: int, count: int) -> None:
        """Make agents `first` to `first + count - 1`, whose certificates are in the directory `tls`."""
        self._notes = Notes()
        self._room = asyncio.Semaphore(_DIALLING)
        self._agents = []
        for number in range(first, first + count):
            node = node_name(number)
            files = TlsFiles(ca=str(tls / "ca.pem"), certificate=str(tls / f"{node}.pem"), key=str(tls / f"{node}.key"))
            self._agents.append(Agent(number, address, files, self._notes, self._room.release))
        self._links: list[asyncio.Task[None]] = []
        self._probes_per_s = 0.0
        self._probing = asyncio.Event()
        self._does: dict[str, Callable[..., object]] = {
            "notes": self._take_notes,
            "kill": self._kill,
            "probe": self._set_probes,
        }

    async def run(self) -> None:
        """Dial, and obey until standard input ends; what waits for the daemon waits on."""
        orders = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        tasks = [asyncio.create_task(each) for each in (self._dial(), self._tick(), self._probe())]
        async for line in orders:
            order: dict[str, Any] = json.loads(line)
            print(json.dumps(self._does[order.pop("do")](**order)), flush=True)
            for task in tasks:
                if task.done():
                    task.result()
        for task in (*tasks, *self._links):
            task.cancel()

    async def _dial(self) -> None:
        for agent in self._agents:
            await self._room.acquire()
            self._links.append(asyncio.create_task(agent.link.run()))
        await asyncio.gather(*self._links)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for agent in self._agents:
                agent.tick()

    async def _probe(self) -> None:
        """Probe one agent after the other, so many a second."""
        for agent in cycle(self._agents):
            await self._probing.wait()
            await asyncio.sleep(1 / self._probes_per_s)
            agent.probe()

    def _take_notes(self) -> dict[str, Any]:
        notes = asdict(self._notes)
        self._notes.round_trips_s.clear()
        return notes

    def _kill(self, agent: int) -> float:
        self._agents[agent].kill()
        return time.monotonic()

    def _set_probes(self, per_s: float) -> None:
        self._probes_per_s = per_s
        (self._probing.set if per_s else self._probing.clear)()


def node_name(number: int) -> str:
    """Name the `number`-th node."""
    return f"n{number:05}"


def main() -> None:
    """Be a process of agents: ADDRESS TLS_DIRECTORY FIRST COUNT."""
    address, tls, first, count = sys.argv[1:]
    allow_connections()
    # On hosts of their own they would take no time from the daemon.
    os.nice(5)
    # A real agent has the objects of one: looking through those of a thousand for garbage is this process's cost alone.
    gc.set_threshold(100_000, 20, 50)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    asyncio.run(Process(address, Path(tls), int(first), int(count)).run())


if __name__ == "__main__":
    main()
