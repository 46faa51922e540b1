"""How ranks are started: their order put together, those of one world in turn."""

import asyncio
from dataclasses import replace

from dlroverd.model.environment import rank_environment
from dlroverd.model.ids import RankKey
from dlroverd.model.job import JobSpec
from dlroverd.model.world import Assignment, JobDescriptor
from dlroverd_agent import core, ports
from dlroverd_agent.devices.grant import device_nodes
from dlroverd_agent.devices.monitor import DeviceMonitor, DevicesUnknownError
from dlroverd_agent.events.flow import EventFlow
from dlroverd_agent.launchers.interface import Launcher, LaunchOrder
from dlroverd_agent.network import interface_towards
from dlroverd_agent.progress import COUNTER
from dlroverd_agent.spares.spares import Spares
from dlroverd_agent.vaults.vaults import Vaults

# Less than who comes too early loses (see `_start`).
_SERVED_S = 0.25
_LOOK_S = 0.005


class Starts:
    """The ranks of a node that are being started."""

    def __init__(
        self, node: str, launcher: Launcher, devices: DeviceMonitor, events: EventFlow, vaults: Vaults
    ) -> None:
        """Start none yet."""
        self._node = node
        self._launcher = launcher
        self._devices = devices
        self._events = events
        self._vaults = vaults
        self.spares = Spares(launcher, self._order)
        self._starting: dict[RankKey, asyncio.Task[None]] = {}

    def begin(self, action: core.Start) -> "asyncio.Task[None]":
        """Start a rank; what goes wrong is told as its end."""
        task = asyncio.create_task(self._start(action))
        self._starting[action.key] = task
        return task

    async def begun(self, key: RankKey) -> None:
        """Wait until a rank's start has begun: a launcher knows nothing of it before."""
        if (starting := self._starting.get(key)) is not None:
            await asyncio.wait({starting})

    async def _start(self, action: core.Start) -> None:
        # Rank 0 goes first: it serves the rendezvous store, and who asks that before it listens waits 0.3 to 0.7 s for
        # a second try (research/measurements.md section 1).
        leading = self._starting.get(action.key.round_key.rank(0)) if action.key.rank else None
        try:
            if leading is not None:
                await asyncio.wait({leading})
            events_file = await self._events.make(action.key, action.spec.user.uid, action.spec.user.gid)
            order = await self._order(action.key, action.spec, action.assignment, events_file)
            order = replace(order, lease_until=action.lease_until, spare=await self.spares.take(order))
            if order.spare is not None and leading is not None:
                await _until_served(action.assignment.master_port)
            await self._launcher.start(order)
        finally:
            del self._starting[action.key]

    async def _order(self, key: RankKey, spec: JobSpec, assignment: Assignment, events_file: str = "") -> LaunchOrder:
        role, files = spec.role(key.role), self._launcher.files(key)
        order = LaunchOrder(
            key=key,
            argv=role.argv,
            cwd=role.cwd,
            env=rank_environment(
                JobDescriptor(job=key.job, spec=spec),
                assignment,
                key.rank - assignment.first_rank,
                node=self._node,
                error_file=str(files.error),
                progress_file=str(files.progress),
                notice_file=str(files.notice),
                saves_file=str(files.saves),
                events_file=events_file,
                interface=await _interface(assignment),
                counter=COUNTER,
                checkpoint_socket=await self._vaults.socket(key.job, spec),
            ),
            uid=spec.user.uid,
            gid=spec.user.gid,
            name=spec.user.name,
            home=spec.user.home,
            groups=spec.user.groups,
            grace_s=max(spec.restart_grace_s, spec.cancel_grace_s),
            resources=role.resources,
            secrets=tuple((each.name, each.file, each.credential) for each in role.secrets),
        )
        try:
            return replace(order, device_nodes=await device_nodes(self._devices, assignment))
        except DevicesUnknownError as error:
            return replace(order, obstacle=str(error))


async def _interface(assignment: Assignment) -> str:
    """Name the interface by which the others of a world are reached; "" where there are none."""
    if assignment.group_world_size == 1:
        return ""
    return await asyncio.to_thread(interface_towards, assignment.master_addr, assignment.master_port)


async def _until_served(port: int) -> None:
    """Give rank 0 a moment to listen: a spare that becomes a rank asks it within milliseconds."""
    try:
        async with asyncio.timeout(_SERVED_S):
            while not await asyncio.to_thread(ports.served, port):  # noqa: ASYNC110 - the kernel tells nobody
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        pass  # a script that serves none, or takes its time
