"""The systemd launcher: each rank is a transient service, whose life and end PID 1 keeps.

It owns `<state_dir>/ranks`, as the process launcher does, and the units of its fleet. It must not hold a rank's life
in this process: the unit says how the rank goes, its control group which processes are its own, and its directory that
it was started and whether we asked for its end. A unit that systemd does not know any more is a rank lost, never a
success. When a rank is GONE its control group is verified empty, and with its processes its sockets are gone.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation
from dlroverd_agent.launchers.beginning import UnitParking, begin_cold, begin_warm
from dlroverd_agent.launchers.bus import NoAnswerError, RefusedError, Systemd, unit_path
from dlroverd_agent.launchers.control_group import UNKILLABLE_AFTER_S, ControlGroup, systemd_tree
from dlroverd_agent.launchers.files import (
    DIED_STARTING,
    ENDED,
    VANISHED,
    RankFiles,
    Record,
    boot_id,
    read_record,
    started,
)
from dlroverd_agent.launchers.handover import became_rank, launch_error
from dlroverd_agent.launchers.hearing import until_said
from dlroverd_agent.launchers.interface import SIGNAL_OF, Disturbance, LauncherUnavailableError, LaunchOrder
from dlroverd_agent.launchers.old_units import alive, ask, discard, end_older, end_unknown, kill
from dlroverd_agent.launchers.parked import Parked
from dlroverd_agent.launchers.prepare import LaunchError, StartedBeforeError, hold, lock, make_root, prepare
from dlroverd_agent.launchers.shared_memory import clear_left
from dlroverd_agent.launchers.unit import ServiceState, UnitNames
from dlroverd_agent.launchers.watched_rank import WatchedRank

# How long `recover` waits for the ends of what it finds dead or unknown; what stays is followed on.
_RECOVER_S = 5.0
# How long a stop or an end waits for the disk to take the word of it.
_SAVE_S = 1.0

_log = structlog.get_logger()


class SystemdLauncher:
    """A `Launcher` (see there) that keeps its ranks' files under `state_dir` and runs each as a unit of `fleet`.

    `recover` comes before anything else. Raises, as `recover` does:
        LauncherUnavailableError: another agent has the state directory, or this host is not run by systemd as it must.
    """

    def __init__(self, state_dir: Path, fleet: str, on_change: Callable[[RankObservation], None]) -> None:
        tree = systemd_tree()
        if tree is None or os.geteuid() != 0:
            raise LauncherUnavailableError(
                "the systemd launcher needs root, systemd and cgroup v2 (Linux 5.14): set `launcher: process`"
            )
        self._tree = tree
        self._names = UnitNames(fleet)
        self._root = make_root(state_dir)
        self._locks = [lock(self._root)]
        try:
            # Names of units are the host's, not the state directory's.
            refusal = f"another agent runs the ranks of fleet {fleet} on this host: give this one another `fleet`"
            self._locks.append(hold(Path(f"/run/dlroverd-agent-{fleet}.lock"), refusal))
        except LauncherUnavailableError:
            os.close(self._locks[0])
            raise
        self._boot_id = boot_id()
        self._on_change = on_change
        self._systemd = Systemd(self._hear, self._look_at_all)
        self.parking = UnitParking(self._systemd, self._names, self._tree, self._root)
        self._ranks: dict[RankKey, WatchedRank] = {}
        self._by_path: dict[str, WatchedRank] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def files(self, key: RankKey) -> RankFiles:
        """Say where a rank's files are."""
        return RankFiles(self._root / key.unit)

    # ---- the launcher's methods

    async def start(self, order: LaunchOrder) -> None:
        """Start a rank; see `Launcher.start`. Returns once the first program of its unit has the order."""
        if order.key in self._ranks:
            return
        record = Record(state=RankState.STARTING, boot_id=self._boot_id, launcher="systemd", uid=order.uid)
        rank = self._add(order.key, record)
        self._on_change(rank.observation())
        returns = self._systemd.returns
        try:
            await self._begin(rank, order)
        except StartedBeforeError:
            self._finish(rank, rank.record.over(lost="it was started before, and its record was deleted"))
        except (LaunchError, RefusedError, NoAnswerError) as failed:
            self._finish(rank, rank.record.over(launch_error=str(failed)))
        finally:
            rank.begun.set()
        if self._systemd.returns != returns:
            self._spawn_task(self._look(rank))  # what was said of it meanwhile may be lost

    async def stop(self, key: RankKey, evidence_s: float, grace_s: float) -> None:
        """Stop a rank; see `Launcher.stop`."""
        rank = self._ranks.get(key)
        if rank is None or rank.record.state in ENDED:
            return
        rank.shorten(evidence_s, grace_s, asyncio.get_running_loop().time())
        if rank.stopping is None:
            rank.stopping = self._spawn_task(self._stop_in_time(rank))

    async def recover(self) -> list[RankObservation]:
        """Find all ranks again; see `Launcher.recover`."""
        try:
            await self._systemd.connect()
            for key, files in await asyncio.to_thread(started, self._root):
                record = await asyncio.to_thread(read_record, files, self._boot_id, launcher="systemd")
                rank = self._add(key, record)
                rank.adopted = True
                rank.begun.set()
                if record.state is RankState.GONE:
                    rank.ended.set()
                    rank.emptied = True
            for key in await end_unknown(self._systemd, self._names, self._tree, self._root, self._ranks.keys()):
                await self._discard(self._names.rank(key), key.job)
        except (NoAnswerError, RefusedError) as error:
            raise LauncherUnavailableError(f"{error}; see that dbus runs, or set `launcher: process`") from error
        looks = [self._spawn_task(self._adopt(rank)) for rank in self._ranks.values() if not rank.ended.is_set()]
        if looks:
            await asyncio.wait(looks, timeout=_RECOVER_S)
        ends = [rank.finishing for rank in self._ranks.values() if rank.finishing is not None]
        if ends:
            await asyncio.wait(ends, timeout=_RECOVER_S)
        return [await asyncio.to_thread(rank.observation) for rank in list(self._ranks.values())]

    async def disturb(self, key: RankKey, kind: Disturbance) -> None:
        """Carry out a drill; see `Launcher.disturb`."""
        if kind in ("freeze", "thaw"):
            self._running(key).group.freeze(kind == "freeze")
        else:
            await self.send_signal(key, SIGNAL_OF[kind])

    async def send_signal(self, key: RankKey, number: signal.Signals) -> None:
        """Send a signal to a rank's main process; see `Launcher.send_signal`."""
        try:
            await self._systemd.call("KillUnit", "ssi", self._running(key).unit, "main", number)
        except (RefusedError, NoAnswerError) as error:
            raise ValueError(f"{number.name} cannot be sent to {key}: {error}") from error

    def _running(self, key: RankKey) -> WatchedRank:
        rank = self._ranks.get(key)
        if rank is None or rank.record.state is not RankState.RUNNING:
            raise ValueError(f"{key} does not run here")
        return rank

    async def survey(self) -> frozenset[RankKey]:
        """Look what runs here; see `Launcher.survey`."""
        return await alive(self._systemd, self._names, self._tree) - self.parking.keys

    async def find_end(self, key: RankKey) -> None:
        """Find out how a rank ended; see `Launcher.find_end`."""
        if (rank := self._ranks.get(key)) is not None and rank.record.state is RankState.RUNNING:
            await self._look(rank)
            self._finish(rank, rank.record.over(lost=VANISHED))

    async def end_left(self, key: RankKey) -> bool:
        """Kill what is left of a rank; see `Launcher.end_left`."""
        ended = await kill(self._systemd, self._names, self._tree, key)
        if ended and key not in self._ranks:
            await self._discard(self._names.rank(key), key.job)
        return ended

    def forget(self, key: RankKey) -> None:
        """Delete a rank's record and let systemd forget its unit; see `Launcher.forget`."""
        rank = self._ranks.get(key)
        if rank is None:
            return
        if rank.record.state is not RankState.GONE:
            raise ValueError(f"{key} is {rank.record.state}: only a rank that is gone can be forgotten")
        rank.files.forget()
        del self._ranks[key]
        del self._by_path[unit_path(rank.unit)]
        self._spawn_task(self._discard(rank.unit, key.job))

    async def close(self) -> None:
        """Detach from all ranks, which go on, and let another agent have the state directory."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._systemd.close()
        for descriptor in self._locks:
            os.close(descriptor)

    # ---- from the order to the rank

    async def _begin(self, rank: WatchedRank, order: LaunchOrder) -> None:
        listener = await asyncio.to_thread(prepare, rank.files, order, rank.record)
        with listener:  # once it is closed, no program of the unit gets the order any more
            # A world is not to meet the leftovers of another round.
            await end_older(rank.key, rank.group.folder.parent, self._names)
            if order.spare is not None:
                if await asyncio.to_thread(begin_warm, rank.files, order, order.spare):
                    rank.record = replace(rank.record, started_at=time.time())  # its unit began long before
                    self.parking.keys.discard(rank.key)
                    self._spawn_task(self._await_spare(rank, order.spare))
                    return
                await self.parking.unpark(rank.key, order.spare)
            program = await begin_cold(self._systemd, self._names, rank, order, listener)
        if program is not None:
            self._spawn_task(self._await_program(rank, program))

    async def _await_program(self, rank: WatchedRank, program: socket.socket) -> None:
        await became_rank(program)
        rank.executed = await asyncio.to_thread(launch_error, rank.files) == ""
        self._weigh(rank)

    async def _await_spare(self, rank: WatchedRank, spare: Parked) -> None:
        if why_not := await spare.last_words():
            await asyncio.to_thread(rank.files.launch_error.write_text, why_not)
        rank.executed = not why_not
        await self._look(rank)

    # ---- what systemd says

    def _hear(self, path: str, properties: Mapping[str, Any]) -> None:
        rank = self._by_path.get(path)
        if rank is not None and rank.key not in self.parking.keys:  # else it is said of a spare
            rank.service.update(properties)
            rank.heard += 1
            self._weigh(rank)

    def _look_at_all(self) -> None:
        for rank in self._ranks.values():
            if rank.begun.is_set() and not rank.ended.is_set():
                self._spawn_task(self._look(rank))

    async def _look(self, rank: WatchedRank) -> None:
        """Ask how a rank goes, until there is an answer."""
        while True:
            heard = rank.heard
            try:
                properties = await self._systemd.unit(unit_path(rank.unit))
                break
            except NoAnswerError as error:
                _log.warning("how a rank goes cannot be learnt yet", rank=str(rank.key), error=str(error))
        if rank.ended.is_set():
            return
        if properties["LoadState"] == "not-found":
            why_not = await asyncio.to_thread(launch_error, rank.files)
            never = DIED_STARTING if why_not is None else why_not
            lost = "systemd knows its unit no more: someone stopped or reset it"
            self._finish(rank, rank.record.over(launch_error=never, lost="" if never else lost))
            return
        # What was heard while we asked is at least as new.
        rank.service = {**properties, **rank.service} if rank.heard != heard else properties
        self._weigh(rank)

    def _weigh(self, rank: WatchedRank) -> None:
        state = ServiceState.of(rank.service)
        if rank.ended.is_set():
            return
        if state.ended:
            self._finish(rank, None)
        elif rank.executed and state.pid:
            self._runs(rank)

    def _runs(self, rank: WatchedRank) -> None:
        if rank.record.state is RankState.STARTING:
            state = ServiceState.of(rank.service)
            started_at = rank.record.started_at or state.started_at
            rank.record = replace(rank.record, state=RankState.RUNNING, pid=state.pid, started_at=started_at)
            self._on_change(rank.observation())
            self._spawn_task(self._save(rank))

    # ---- from the end of the main process to that of its tree

    def _finish(self, rank: WatchedRank, ended: Record | None) -> None:
        if not rank.ended.is_set():
            rank.ended.set()
            rank.stirred.set()
            rank.finishing = self._spawn_task(self._bury(rank, ended))

    async def _bury(self, rank: WatchedRank, ended: Record | None) -> None:
        """Tell that the main process ended, as `ended` says or else systemd; then kill its tree, and tell that."""
        if ended is None:
            ended = await asyncio.to_thread(rank.ended_by_itself)
            if not ended.launch_error:
                self._runs(rank)  # it did, too shortly to be seen
        rank.record = replace(ended, state=RankState.EXITED)
        self._on_change(await asyncio.to_thread(rank.observation))
        self._spawn_task(self._save(rank))
        await self._until_empty(rank)
        rank.emptied = True
        if not any(each.record.uid == rank.record.uid and not each.emptied for each in self._ranks.values()):
            await clear_left(rank.record, str(rank.key))  # with the last of its user: another may be using it
        # Systemd may have learnt of an oom-kill after the end of the main process.
        result = rank.record.result and ServiceState.of(rank.service).result
        rank.record = replace(rank.record, state=RankState.GONE, result=result)
        await self._save_soon(rank)
        self._on_change(await asyncio.to_thread(rank.observation))

    async def _until_empty(self, rank: WatchedRank) -> None:
        left = await rank.group.end(UNKILLABLE_AFTER_S)
        if left:
            rank.record = replace(rank.record, unkillable=left)
            _log.error("processes of a rank cannot be killed; reboot the node", rank=str(rank.key), processes=left)
            self._on_change(await asyncio.to_thread(rank.observation))
            self._spawn_task(self._save(rank))
            await rank.group.until_empty()
            rank.record = replace(rank.record, unkillable=())

    async def _stop_in_time(self, rank: WatchedRank) -> None:
        loop = asyncio.get_running_loop()
        said = loop.create_task(until_said(rank.files))
        said.add_done_callback(lambda _: rank.stirred.set())
        try:
            while not rank.ended.is_set():
                rank.stirred.clear()
                if rank.record.requested and loop.time() >= rank.kill_at:
                    await self._until_empty(rank)
                    return
                if not rank.record.requested and (said.done() or loop.time() >= rank.term_at):
                    await self._terminate(rank)
                    continue
                try:
                    async with asyncio.timeout_at(rank.kill_at if rank.record.requested else rank.term_at):
                        await rank.stirred.wait()
                except TimeoutError:
                    pass
        finally:
            said.cancel()

    async def _terminate(self, rank: WatchedRank) -> None:
        """Send TERM, if there is time for it: else KILL comes at once. Until its program runs, a rank loses nothing."""
        await rank.begun.wait()
        if rank.ended.is_set():
            return
        grace_s = rank.grace_s if rank.executed else 0.0
        rank.kill_at = asyncio.get_running_loop().time() + grace_s
        rank.record = replace(rank.record, requested=True, kill_at=time.time() + grace_s)
        await self._save_soon(rank)  # before it is done: an agent that comes after us must know it
        try:
            if grace_s:
                await self._systemd.call("KillUnit", "ssi", rank.unit, "all", signal.SIGTERM)
        except (RefusedError, NoAnswerError) as error:
            _log.warning("TERM could not be sent; KILL follows", rank=str(rank.key), error=str(error))

    # ---- ranks of earlier agents

    async def _adopt(self, rank: WatchedRank) -> None:
        rank.executed = await asyncio.to_thread(launch_error, rank.files) == ""
        await self._look(rank)
        if rank.record.requested and not rank.ended.is_set():
            await self.stop(rank.key, 0.0, max(0.0, rank.record.kill_at - time.time()))

    async def _discard(self, unit: str, job: int) -> None:
        """Let systemd forget a unit whose rank is gone, and the slice of its job with the last one."""
        await discard(self._systemd, unit)
        slice_ = self._names.job(job)
        if all(key.job != job for key in self._ranks) and ControlGroup(self._tree / self._names.folder(slice_)).empty():
            await ask(self._systemd, "StopUnit", "ss", slice_, "replace")

    # ---- small things

    def _add(self, key: RankKey, record: Record) -> WatchedRank:
        unit = self._names.rank(key)
        group = ControlGroup(self._tree / self._names.path(key))
        rank = WatchedRank(key=key, files=self.files(key), unit=unit, group=group, record=record)
        self._ranks[key] = self._by_path[unit_path(unit)] = rank
        return rank

    async def _save(self, rank: WatchedRank) -> None:
        """Write the record as it is by then. If the disk does not take it, the unit still says how the rank went."""
        async with rank.saving:
            if self._ranks.get(rank.key) is rank:
                try:
                    await asyncio.to_thread(rank.record.write, rank.files.record)
                except OSError as error:
                    _log.warning("the record of a rank cannot be kept; make room", rank=str(rank.key), error=str(error))

    async def _save_soon(self, rank: WatchedRank) -> None:
        """Write the record now; a disk that hangs keeps no rank from its end."""
        await asyncio.wait({self._spawn_task(self._save(rank))}, timeout=_SAVE_S)

    def _spawn_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
