"""The vaults of this node's jobs: one each, started before the job's first rank, ended once the job has left the node.

None of them is tied to this process: it is found again by who listens on its socket, and followed by a descriptor of
that process. Whatever goes wrong with a vault is told in a sentence, and no rank waits for it: ranks without one load
from storage.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from dlroverd.model.job import JobSpec
from dlroverd.model.spooled import Severity
from dlroverd.model.world import Assignment, Held
from dlroverd_agent.events.flow import EventFlow
from dlroverd_agent.vaults import budget
from dlroverd_agent.vaults.attendant import Attendant, VaultGoneError, VaultRefusedError
from dlroverd_agent.vaults.files import Order, VaultError, VaultFiles
from dlroverd_agent.vaults.host import VaultHost

START_S = 10.0
# How long the vault of a job that has left goes on with what it persists, or has to: what memory alone holds.
PERSIST_S = 300.0
# How long until one that died is started again beside running ranks.
AGAIN_S = 30.0
_TERM_S = 2.0
_LOOK_S = 0.02
_IDLE_S = 1.0
# How long a check before a start waits for the memory of jobs that have left.
_LEAVE_S = 10.0

_log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Vault:
    """One vault. `pid` is 0 while it does not run; `descriptor` holds that process. `stopping`: its end is ours.

    `counts`: its memory is set aside, as it is for one that died until that has been replaced.
    """

    files: VaultFiles
    order: Order
    attendant: Attendant
    pid: int = 0
    descriptor: int = -1
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: bool = False
    counts: bool = False
    again_at: float = 0.0
    said: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    task: "asyncio.Task[None] | None" = None


class Vaults:
    """All vaults of one node. `held` gives what the node is to run. Belongs to one asyncio loop."""

    def __init__(self, node: str, root: Path, host: VaultHost, held: Callable[[], Held], events: EventFlow) -> None:
        """Know of none yet."""
        self._node = node
        self._root = root
        self._host = host
        self._held = held
        self._events = events
        self._vaults: dict[int, _Vault] = {}
        self._needed: Collection[int] = ()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def recover(self, needed: Collection[int]) -> None:
        """Find the vaults of an earlier agent, and end those of jobs that are not needed. Once, at first."""
        self._needed = needed
        try:
            self._root.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
            for files in await asyncio.to_thread(VaultFiles.all, self._root):
                await self._find(files)
            await self._host.recover(self._vaults.keys())
        except (VaultError, OSError) as error:
            _log.error("checkpoint memory that an earlier agent set aside is not all known", error=str(error))
        self.keep(needed)

    def keep(self, needed: Collection[int]) -> None:
        """End the vaults of all but these jobs, and start again those of theirs that died. To be called often."""
        self._needed = needed
        for job, vault in self._vaults.items():
            if vault.task is not None and not vault.task.done():
                continue
            if job not in needed:
                vault.task = self._begin(self._end(vault))
            elif not vault.pid and asyncio.get_running_loop().time() >= vault.again_at:
                vault.task = self._begin(self._start_again(vault))

    async def socket(self, job: int, spec: JobSpec) -> str:
        """Give the socket of a job's vault, started now if it does not run; "" if the job has none, or none can be."""
        if not spec.checkpoint_memory_bytes:
            return ""
        self._needed = {*self._needed, job}
        while True:
            vault = self._vaults.get(job)
            if vault is None:
                vault = self._vaults[job] = self._new(VaultFiles(self._root, job), self._order(job, spec))
            async with vault.lock:
                if self._vaults.get(job) is not vault:
                    continue  # it was just ended
                if not vault.pid:
                    await self._start(vault, self._limits(job, spec))
                return str(vault.files.socket) if vault.pid else ""

    def sockets(self) -> dict[int, str]:
        """Give the sockets of the vaults that run, by job."""
        return {job: str(vault.files.socket) for job, vault in self._vaults.items() if vault.pid}

    async def shortage(self, assignment: Assignment, spec: JobSpec) -> str:
        """Say why the checkpoint memory of a job that is to start here does not fit, and what would; "" if it does."""
        if not spec.checkpoint_memory_bytes:
            return ""
        job = assignment.round.job
        limits = self._limits(job, spec, assignment.round.role)
        short = await self._shortage(job, spec.checkpoint_memory_bytes, limits)
        if short and (leaving := self._leaving()):
            await asyncio.wait(leaving, timeout=_LEAVE_S)
            short = await self._shortage(job, spec.checkpoint_memory_bytes, limits)
        return short

    async def close(self) -> None:
        """Let go of all vaults, which go on; those that are being ended have a moment for it."""
        if leaving := self._leaving():
            await asyncio.wait(leaving, timeout=_TERM_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for vault in self._vaults.values():
            self._let_go(vault)
            await vault.attendant.close()
        await self._host.close()

    def _leaving(self) -> "list[asyncio.Task[None]]":
        return [each.task for job, each in self._vaults.items() if job not in self._needed and each.task is not None]

    # ---- what a job asks for

    def _order(self, job: int, spec: JobSpec) -> Order:
        here = sum(each.nproc for each in self._held().assignments if each.round.job == job)
        return Order(
            job=job,
            uid=spec.user.uid,
            gid=spec.user.gid,
            user=spec.user.name,
            memory_bytes=spec.checkpoint_memory_bytes,
            ranks=max(1, here),
        )

    def _limits(self, job: int, spec: JobSpec, *roles: str) -> int:
        """Give what the job's ranks on this node may take, as far as their roles are limited."""
        here = {each.round.role for each in self._held().assignments if each.round.job == job}
        return sum(spec.role(name).resources.memory_bytes for name in here.union(roles))

    async def _shortage(self, job: int, asked: int, limits: int) -> str:
        others = {each.order.job: each.order.memory_bytes for each in self._vaults.values() if each.counts}
        others.pop(job, None)
        pids = [each.pid for each in self._vaults.values() if each.pid]
        return budget.shortage(self._node, asked, limits, others, await asyncio.to_thread(budget.available, pids))

    # ---- the life of one vault

    def _new(self, files: VaultFiles, order: Order) -> _Vault:
        return _Vault(files, order, Attendant(str(files.socket)))

    async def _find(self, files: VaultFiles) -> None:
        order = await asyncio.to_thread(files.order)
        if order is None:
            await self._host.clear(files, last=True)
            await asyncio.to_thread(files.remove)
            return
        vault = self._vaults[files.job] = self._new(files, order)
        try:
            self._follow(vault, await asyncio.to_thread(files.listener, order))
        except OSError:
            pass  # it died, or was never started: it is started again, or what is left of it is cleared

    async def _start_again(self, vault: _Vault) -> None:
        async with vault.lock:
            if not vault.pid and vault.order.job in self._needed:
                await self._start(vault, 0)  # what its ranks take they have taken already

    async def _start(self, vault: _Vault, limits: int) -> None:
        """Start a vault that does not run; what keeps it from that is told."""
        files, order = vault.files, vault.order
        vault.again_at = asyncio.get_running_loop().time() + AGAIN_S
        try:
            short = await self._shortage(order.job, order.memory_bytes, limits)
            vault.counts = not short
            if short:
                raise VaultError(short)
            await self._host.clear(files, last=False)
            await asyncio.to_thread(files.remove)
            await asyncio.to_thread(files.make, order)
            await self._host.start(files, order)
            self._follow(vault, await self._until_listening(vault))
            vault.said = ""
            _log.info("checkpoint memory is set aside", job=order.job, bytes=order.memory_bytes, pid=vault.pid)
        except (VaultError, OSError) as error:
            await self._tell(vault, f"job {order.job} has no checkpoint memory on {self._node}: {error}")

    async def _until_listening(self, vault: _Vault) -> int:
        try:
            async with asyncio.timeout(START_S):
                while True:
                    try:
                        return await asyncio.to_thread(vault.files.listener, vault.order)
                    except (FileNotFoundError, ConnectionRefusedError):
                        pass  # not yet
                    if how := await self._host.ended(vault.files):
                        raise VaultError(f"its vault ended at once: {how}")
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            raise VaultError(f"its vault did not listen within {START_S:g} s") from None

    def _follow(self, vault: _Vault, pid: int) -> None:
        """Watch a vault that runs; ProcessLookupError if it has ended."""
        vault.descriptor, vault.pid, vault.stopping, vault.counts = os.pidfd_open(pid), pid, False, True
        vault.ended.clear()
        asyncio.get_running_loop().add_reader(vault.descriptor, self._gone, vault)

    def _gone(self, vault: _Vault) -> None:
        self._let_go(vault)
        vault.pid = 0
        vault.ended.set()
        if not vault.stopping:
            vault.again_at = asyncio.get_running_loop().time() + AGAIN_S
            self._begin(self._tell_end(vault))

    def _let_go(self, vault: _Vault) -> None:
        if vault.descriptor >= 0:
            asyncio.get_running_loop().remove_reader(vault.descriptor)
            os.close(vault.descriptor)
            vault.descriptor = -1

    async def _tell_end(self, vault: _Vault) -> None:
        how = await self._host.ended(vault.files)
        why = f" ({how})" if how else ""
        sentence = (
            f"the checkpoint memory of job {vault.order.job} on {self._node} is lost: its vault has ended{why}; it is "
            f"started again within {AGAIN_S:g} s, or with the job's next round"
        )
        await self._tell(vault, sentence)

    async def _end(self, vault: _Vault) -> None:
        """End the vault of a job that has left once nothing is in memory alone, unless the job comes back meanwhile."""
        async with vault.lock:
            await self._until_idle(vault)
            if vault.order.job in self._needed:
                return
            try:
                await self._stop(vault)
                await self._host.clear(vault.files, last=True)
                await asyncio.to_thread(vault.files.remove)
            except (VaultError, OSError) as error:
                await self._tell(vault, f"the checkpoint memory of job {vault.order.job} cannot be freed: {error}")
                return
            await vault.attendant.close()
            del self._vaults[vault.order.job]

    async def _until_idle(self, vault: _Vault) -> None:
        """Wait until a vault persists nothing, its job is back, or it has had its time."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PERSIST_S
        try:
            if vault.pid:
                await vault.attendant.call({"op": "last"})
            while vault.pid and vault.order.job not in self._needed and loop.time() < until:
                answer = await vault.attendant.call({"op": "idle", "within": _IDLE_S})
                if answer.get("idle"):
                    for why in answer.get("left", ()):
                        await self._tell(vault, str(why))
                    return
        except (VaultGoneError, VaultRefusedError) as error:
            _log.warning("what a vault still persists is not known", job=vault.order.job, error=str(error))

    async def _stop(self, vault: _Vault) -> None:
        vault.stopping = True
        for number in (signal.SIGTERM, signal.SIGKILL):
            if not vault.pid:
                return
            signal.pidfd_send_signal(vault.descriptor, number)
            try:
                async with asyncio.timeout(_TERM_S):
                    await vault.ended.wait()
            except TimeoutError:
                pass  # KILL follows, and then what the host has

    async def _tell(self, vault: _Vault, sentence: str) -> None:
        """Tell people, once for as long as it lasts."""
        if sentence != vault.said:
            vault.said = sentence
            _log.warning(sentence)
            await self._events.say("agent.no_vault", Severity.WARNING, job=vault.order.job, why=sentence)

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
