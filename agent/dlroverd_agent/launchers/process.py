"""The process launcher: ranks as plain processes under one shim each, for hosts without systemd.

It owns `<state_dir>/ranks`, one directory per rank ever started. It must not hold a rank's life in this process:
everything needed to find a rank again is in its directory, and its shim lives without us.
"""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation
from dlroverd_agent import evidence
from dlroverd_agent.launchers.files import (
    DIED_STARTING,
    ENDED,
    RankFiles,
    Record,
    boot_id,
    key_of,
    read_record,
    started,
)
from dlroverd_agent.launchers.hearing import until_said
from dlroverd_agent.launchers.interface import (
    SIGNAL_OF,
    Disturbance,
    LauncherUnavailableError,
    LaunchOrder,
    SurveyError,
)
from dlroverd_agent.launchers.leftovers import (
    is_alive,
    kill_leftovers,
    kill_shim,
    kill_unrecorded,
    marked,
    signal_carrier,
    signal_carriers,
)
from dlroverd_agent.launchers.parked import Parked
from dlroverd_agent.launchers.prepare import LaunchError, StartedBeforeError, lock, make_root
from dlroverd_agent.launchers.spawn import ShimParking, connect, shim_words, spawn

# How often the leftovers of a rank whose shim was killed are looked for: they cannot be awaited.
_LOOK_S = 0.01
_LAST_LOOK_S = 1.0
# How long `recover` waits for the leftovers of ranks whose shim was killed; those that stay are followed on.
_RECOVER_S = 5.0


@dataclass(slots=True, kw_only=True)
class _Rank:
    key: RankKey
    files: RankFiles
    record: Record
    control: asyncio.StreamWriter | None = None
    stop: tuple[float, float] | None = None
    watch: "asyncio.Task[None] | None" = None


class ProcessLauncher:
    """A `Launcher` (see there) that keeps its ranks under `state_dir` and runs one shim for each.

    Raises:
        LauncherUnavailableError: another agent has the state directory, or the kernel lacks what shims need.
    """

    def __init__(self, state_dir: Path, on_change: Callable[[RankObservation], None]) -> None:
        if not sys.platform.startswith("linux") or not os.path.exists("/proc/thread-self/children"):
            raise LauncherUnavailableError(
                "the process launcher needs Linux with /proc/<pid>/task/<tid>/children (CONFIG_PROC_CHILDREN)"
            )
        self._root = make_root(state_dir)
        self._lock = lock(self._root)
        self._boot_id = boot_id()
        self._on_change = on_change
        self.parking = ShimParking(self._root)
        self._ranks: dict[RankKey, _Rank] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def files(self, key: RankKey) -> RankFiles:
        """Say where a rank's files are."""
        return RankFiles(self._root / key.unit)

    async def start(self, order: LaunchOrder) -> None:
        """Start a rank; see `Launcher.start`."""
        if order.key in self._ranks:
            return
        record = Record(state=RankState.STARTING, boot_id=self._boot_id)
        rank = self._ranks[order.key] = _Rank(key=order.key, files=self.files(order.key), record=record)
        self._on_change(_observation(rank))
        try:
            connection = await asyncio.to_thread(spawn, rank.files, order, record)
        except StartedBeforeError:
            # Its record was deleted: what became of it is not known here any more.
            self._change(rank, record.over(lost="it was started before, and its record was deleted"))
        except LaunchError as failed:
            self._bury(rank, record.over(launch_error=str(failed)))
        else:
            self._spawn_task(self._follow(rank, connection))
            if order.spare is not None and order.spare.channel.fileno() >= 0:
                self._spawn_task(_let_go(order.spare))

    async def stop(self, key: RankKey, evidence_s: float, grace_s: float) -> None:
        """Stop a rank; see `Launcher.stop`."""
        rank = self._ranks.get(key)
        if rank is None or rank.record.state in ENDED:
            return
        _ask_to_stop(rank, evidence_s, grace_s)
        if rank.watch is None and evidence_s > 0:
            rank.watch = self._spawn_task(_end_when_said(rank, evidence_s, grace_s))

    async def recover(self) -> list[RankObservation]:
        """Find all ranks again; see `Launcher.recover`."""
        try:
            await asyncio.wait_for(_until_none(kill_unrecorded, self._root), _RECOVER_S)
        except TimeoutError:
            pass  # what cannot be killed keeps nobody else from being supervised
        settling = []
        for key, files in started(self._root):
            rank = self._ranks[key] = _Rank(key=key, files=files, record=self._read(files))
            if rank.record.state is RankState.GONE:
                continue
            try:
                connection = connect(files)
            except OSError:
                settling.append(self._spawn_task(self._settle(rank)))
            else:
                self._spawn_task(self._follow(rank, connection))
        if settling:
            await asyncio.wait(settling, timeout=_RECOVER_S)
        return [_observation(rank) for rank in self._ranks.values()]

    async def survey(self) -> frozenset[RankKey]:
        """Look what runs here; see `Launcher.survey`. Says of a rank that hid its marker no more than its pid does."""
        running = {key: rank.record.pid for key, rank in self._ranks.items() if rank.record.state is RankState.RUNNING}
        try:
            names = await asyncio.to_thread(marked, self._root)
            found = {key for key in map(key_of, names) if key is not None}
        except OSError as error:
            raise SurveyError(f"the processes of this host cannot be listed: {error}") from error
        return frozenset(found | {key for key, pid in running.items() if is_alive(pid)})

    async def find_end(self, key: RankKey) -> None:
        """Find out how a rank ended; see `Launcher.find_end`. A shim that does not tell is what is left to end."""
        rank = self._ranks.get(key)
        if rank is not None and rank.record.state not in ENDED:
            await asyncio.to_thread(kill_shim, rank.files.directory)

    async def end_left(self, key: RankKey) -> bool:
        """Kill what is left of a rank; see `Launcher.end_left`."""
        try:
            await asyncio.wait_for(_until_none(kill_leftovers, self.files(key).directory), _RECOVER_S)
        except TimeoutError:
            return False
        return True

    async def disturb(self, key: RankKey, kind: Disturbance) -> None:
        """Carry out a drill; see `Launcher.disturb`."""
        if kind not in ("freeze", "thaw"):
            await self.send_signal(key, SIGNAL_OF[kind])
            return
        # Twice: what a process forked before it was stopped is stopped too.
        for _ in range(2):
            await asyncio.to_thread(signal_carriers, self._running(key).files.directory, SIGNAL_OF[kind])

    async def send_signal(self, key: RankKey, number: signal.Signals) -> None:
        """Send a signal to a rank's main process; see `Launcher.send_signal`."""
        rank = self._running(key)
        if not await asyncio.to_thread(signal_carrier, rank.record.pid, rank.files.directory, number):
            raise ValueError(
                f"{key} overwrote its environment, by which alone its process could be told from another's"
            )

    def _running(self, key: RankKey) -> _Rank:
        rank = self._ranks.get(key)
        if rank is None or rank.record.state is not RankState.RUNNING:
            raise ValueError(f"{key} does not run here")
        return rank

    def forget(self, key: RankKey) -> None:
        """Delete a rank's record; see `Launcher.forget`."""
        rank = self._ranks.get(key)
        if rank is None:
            return
        if rank.record.state is not RankState.GONE:
            raise ValueError(f"{key} is {rank.record.state}: only a rank that is gone can be forgotten")
        rank.files.forget()
        del self._ranks[key]

    async def close(self) -> None:
        """Detach from all ranks, which go on, and let another agent have the state directory."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        os.close(self._lock)

    def _spawn_task(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _change(self, rank: _Rank, record: Record) -> None:
        if record != rank.record:
            rank.record = record
            if rank.watch is not None and record.state in ENDED:
                rank.watch.cancel()
            self._on_change(_observation(rank))

    def _read(self, files: RankFiles) -> Record:
        return read_record(files, self._boot_id, launcher="process")

    async def _follow(self, rank: _Rank, connection: socket.socket) -> None:
        """Take what the shim tells until it ends."""
        reader, control = await asyncio.open_unix_connection(sock=connection)
        rank.control = control
        try:
            if rank.stop is not None:
                _ask_to_stop(rank, *rank.stop)
            async for line in reader:
                self._change(rank, Record.parse(line))
        except ConnectionError:
            pass  # the shim died with words of ours unread: as its end of file
        finally:
            control.close()
            rank.control = None
        if rank.record.state is not RankState.GONE:
            rank.record = self._read(rank.files)
            await self._settle(rank)

    async def _settle(self, rank: _Rank) -> None:
        """Finish in the place of a shim that died: the kernel killed the rank with it, the rest is ours to kill."""
        if rank.files.order.exists():
            words = shim_words(rank.files)
            ended = rank.record.over(launch_error=words or DIED_STARTING)
        else:
            ended = rank.record.over(lost="its shim was killed, and the rank with it")
        self._change(rank, replace(ended, state=RankState.EXITED))
        await _until_none(kill_leftovers, rank.files.directory)
        self._bury(rank, ended)

    def _bury(self, rank: _Rank, record: Record) -> None:
        try:
            record.write(rank.files.record)
        except OSError:
            pass  # a full disk: the directory, and what is in it, lead the next agent to the same end
        self._change(rank, record)


async def _let_go(spare: Parked) -> None:
    await spare.last_words()  # its shim tells them


async def _until_none(kill: Callable[[Path], list[int]], where: Path) -> None:
    """Kill again and again until a look, and another one after it, finds nothing."""
    pause_s, empty = _LOOK_S, 0
    while empty < 2:  # twice: a process in the middle of its exec shows no environment
        left = await asyncio.to_thread(kill, where)
        empty = 0 if left else empty + 1
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, _LAST_LOOK_S) if left else _LOOK_S


def _ask_to_stop(rank: _Rank, evidence_s: float, grace_s: float) -> None:
    """Tell the shim, or keep it for when the connection stands. The shim takes the shortest of all times."""
    if rank.control is not None:
        stop = {"evidence_s": evidence_s, "grace_s": grace_s}
        rank.control.write(json.dumps({"stop": stop}).encode() + b"\n")
    elif rank.stop is not None:
        rank.stop = (min(rank.stop[0], evidence_s), min(rank.stop[1], grace_s))
    else:
        rank.stop = (evidence_s, grace_s)


async def _end_when_said(rank: _Rank, evidence_s: float, grace_s: float) -> None:
    """Cut the evidence wait short once the rank has said why it fails and has fallen silent."""
    try:
        async with asyncio.timeout(evidence_s):
            await until_said(rank.files)
    except TimeoutError:
        return  # the shim counts the time too
    _ask_to_stop(rank, 0.0, grace_s)


def _observation(rank: _Rank) -> RankObservation:
    record = rank.record
    ended = record.exit()
    if ended is not None:
        ended = evidence.with_evidence(rank.files, ended)
    return RankObservation(
        key=rank.key,
        state=record.state,
        pid=record.pid,
        started_at=record.started_at,
        exit=ended,
        unkillable=record.unkillable,
    )
