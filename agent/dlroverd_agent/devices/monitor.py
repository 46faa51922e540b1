"""Watches the accelerators: which can be granted, who computes on them, which are lost.

The driver is asked in a process of its own, one call at a time, each with a deadline: one that never answers costs a
stuck process, and no more than one. What is not known is not granted, and not taken from whom it was granted to.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import structlog

from dlroverd.model.metrics import BY_NAME
from dlroverd.model.node import Device, DeviceObservation, DeviceState
from dlroverd.model.telemetry import Sample
from dlroverd.plugin_api import DeviceReading
from dlroverd.plugin_api.device import broken_rule
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import HostLimits, PluginConfig
from dlroverd.protocol import notify
from dlroverd_agent.devices.holders import Holder, holders, since
from dlroverd_agent.devices.inventory import InventoryFile

EVERY_S = 10.0
# For a call to a driver that is awake, which takes milliseconds, and for reading /proc.
ANSWER_S = 5.0
# For the first call: without persistence mode the driver wakes one GPU after the other.
WAKE_S = 30.0
_NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
_LIMITS = HostLimits(close_s=1.0)

Tell = Callable[[tuple[DeviceObservation, ...]], None]
Hear = Callable[[tuple[DeviceReading, ...]], None]

_log = structlog.get_logger()


class DevicesUnknownError(Exception):
    """The driver did not say how its devices are; the message is one sentence."""


class DeviceMonitor:
    """The devices of this host. `inventory`, then `run`; anything else may be called once `inventory` has returned.

    `silence` says since when and why the driver does not answer, "" while it does. `hear` gets what `run` reads.
    """

    def __init__(self, plugin: str, state_dir: Path, every_s: float = EVERY_S) -> None:
        """Nothing runs before `inventory`. `plugin` is as in the configuration; `every_s` is between two looks."""
        if plugin == "auto":
            plugin = "nvidia" if _NVIDIA_DRIVER.exists() else "none"
        self._plugin = plugin
        self._every_s = every_s
        self._host = PluginHost([PluginConfig(name=plugin)], _LIMITS)
        self._file = InventoryFile(state_dir, plugin)
        self._devices: dict[str, DeviceReading] = {}
        self._strange: set[str] = set()
        self._observed: tuple[DeviceObservation, ...] = ()
        self._readings: tuple[DeviceReading, ...] = ()
        self._tell: Tell | None = None
        self._ending: dict[int, float] = {}
        self._awake = False
        self.silence = ""
        self.hear: Hear | None = None
        self._turn = asyncio.Lock()
        self._soon = asyncio.Event()
        self._reader: threading.Thread | None = None

    async def inventory(self) -> tuple[Device, ...]:
        """List all devices that this host has had since its boot, in the driver's order. Once.

        Waits for a driver that is stuck or broken, saying so, unless an earlier life of the agent has left a list:
        ranks may run on those, and wait to be found.
        """
        await self._host.start()
        kept = await asyncio.to_thread(self._file.load)
        listed = await (self._list_within(ANSWER_S) if kept else self._list())
        # Those kept stay in their places, so that the order is that of this boot's first listing.
        self._devices = {each.uuid: _identity(each) for each in (*kept, *listed)}
        if listed:
            await asyncio.to_thread(self._file.save, tuple(self._devices.values()))
        return tuple(
            Device(uuid=each.uuid, model=each.model, memory_bytes=each.memory_bytes, serial=each.serial)
            for each in self._devices.values()
        )

    @property
    def uuids(self) -> tuple[str, ...]:
        """Name all devices of this host, in the driver's order."""
        return tuple(self._devices)

    async def run(self, tell: Tell) -> None:
        """Look at the devices for ever; `tell` gets what is known of all of them whenever that has changed."""
        self._tell = tell
        while True:
            self._soon.clear()
            with suppress(DevicesUnknownError):  # said and observed where it was found
                await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._soon.wait()

    def at(self, address: str) -> str:
        """Name the device at a place on the PCI bus; "" if there is none that is known."""
        return next((each.uuid for each in self._devices.values() if address and each.address == address), "")

    def look_soon(self) -> None:
        """Have `run` look now: a rank has ended, or is to start."""
        self._soon.set()

    def nodes_for(self, uuids: Collection[str]) -> tuple[str, ...]:
        """Give the paths in /dev that a process needs to use these devices, each once.

        DevicesUnknownError for a device that this host does not have.
        """
        unknown = [uuid for uuid in uuids if uuid not in self._devices]
        if unknown:
            here = ", ".join(self._devices) or "none"
            raise DevicesUnknownError(f"This node has no device {unknown[0]} (it has: {here}); submit the job again.")
        return tuple(dict.fromkeys(node for uuid in uuids for node in self._devices[uuid].nodes))

    async def held_by(self, uuids: Collection[str]) -> tuple[Holder, ...]:
        """Look who is on these devices now. DevicesUnknownError if the driver does not say."""
        return tuple(holder for holder in await self._look() if holder.uuid in uuids)

    def samples(self) -> list[Sample]:
        """Give the newest readings of all devices; none of those about which the driver is silent."""
        return [
            Sample(metric=metric, value=value, device=reading.uuid)
            for reading in self._readings
            for metric, value in (
                ("device_busy_ratio", reading.busy),
                ("device_memory_used_bytes", reading.memory_used_bytes),
                ("device_temperature_celsius", reading.celsius),
                ("device_power_watts", reading.watts),
                ("device_clock_hertz", reading.clock_hertz),
                ("device_memory_clock_hertz", reading.memory_clock_hertz),
                ("device_pcie_generation", reading.pcie_generation),
                ("device_pcie_lanes", reading.pcie_lanes),
                ("device_faults", len(reading.faults)),
                *((f"device_{name}", count) for name, count in reading.counters.items() if f"device_{name}" in BY_NAME),
            )
            if value is not None
        ]

    async def close(self) -> None:
        """End the plugin's process."""
        await self._host.close()

    # ---- the list

    async def _list(self) -> tuple[DeviceReading, ...]:
        while True:
            try:
                return await self._read()
            except DevicesUnknownError as error:
                _log.error("this node joins the fleet when its accelerators' driver answers", reason=str(error))
                notify.status(str(error))
                await asyncio.sleep(self._every_s)

    async def _list_within(self, limit_s: float) -> tuple[DeviceReading, ...]:
        """Give up sooner, and leave the driver's process to go on: it may be waking its GPUs."""
        try:
            async with asyncio.timeout(limit_s):
                return await self._read()
        except (DevicesUnknownError, TimeoutError) as error:
            reason = str(error) or f"The accelerators' driver has not answered in {limit_s:g} s."
            _log.warning("the accelerators are those that an earlier life of the agent has seen", reason=reason)
            return ()

    # ---- one look

    async def _look(self) -> tuple[Holder, ...]:
        async with self._turn:
            try:
                readings = await self._read()
                found = await self._identify(readings)
            except DevicesUnknownError as error:
                self._readings = ()
                self._unknown(str(error))
                raise
            self._readings = readings
            if self.hear is not None:
                self.hear(readings)
            if self.silence:
                _log.info("the accelerators' driver answers again")
                self.silence = ""
            self._note_strange(readings)
            self._observe(self._states(readings, found))
            return found

    async def _read(self) -> tuple[DeviceReading, ...]:
        try:
            readings = await self._host.read_devices(self._plugin, ANSWER_S if self._awake else WAKE_S)
        except PluginError as error:
            self._awake = False
            raise DevicesUnknownError(f"{error}; see the driver's own tool and the kernel's log.") from error
        if broken := broken_rule(readings):
            raise DevicesUnknownError(f"plugin {self._plugin}: {broken}; install another release of it.")
        self._awake = True
        return readings

    async def _identify(self, readings: tuple[DeviceReading, ...]) -> tuple[Holder, ...]:
        """Name the processes, in a thread that is left alone if /proc does not answer it."""
        if self._reader is not None and self._reader.is_alive():
            raise DevicesUnknownError(_BLOCKED)
        if not any(reading.processes for reading in readings):
            return ()
        loop = asyncio.get_running_loop()
        found: asyncio.Future[tuple[Holder, ...]] = loop.create_future()

        def read() -> None:
            try:
                result = holders(readings)
            except Exception as error:  # noqa: BLE001 it is raised again, where it is waited for
                loop.call_soon_threadsafe(_fail, found, error)
            else:
                loop.call_soon_threadsafe(_give, found, result)

        self._reader = threading.Thread(target=read, name="holders of devices", daemon=True)
        self._reader.start()
        try:
            async with asyncio.timeout(ANSWER_S):
                result = await found
        except TimeoutError:
            raise DevicesUnknownError(_BLOCKED) from None
        self._reader = None  # it has said all, though on a busy host its thread may take a moment more to end
        return result

    def _states(self, readings: tuple[DeviceReading, ...], found: tuple[Holder, ...]) -> tuple[DeviceObservation, ...]:
        """Say how each device is; a process that is ending counts when it has been for longer than one look."""
        now = {reading.uuid: reading for reading in readings}
        at = time.monotonic()
        self._ending = {each.pid: self._ending.get(each.pid, at) for each in found if each.ending}
        foreign: dict[str, list[str]] = {}
        for each in found:
            if each.key is None and not (each.ending and at - self._ending[each.pid] <= self._every_s):
                foreign.setdefault(each.uuid, []).append(each.who)
        return tuple(_state(uuid, now.get(uuid), foreign.get(uuid, [])) for uuid in self._devices)

    def _unknown(self, sentence: str) -> None:
        """Grant nothing until the driver answers; what runs on its devices runs on."""
        if not self.silence:
            self.silence = f"not known since {since(time.time())}: {sentence}"
            _log.error("no accelerator is granted until their driver answers; what runs goes on", reason=sentence)
        lost = {each.uuid: each for each in self._observed if each.state is DeviceState.LOST}
        self._observe(
            tuple(
                lost.get(uuid, DeviceObservation(uuid=uuid, state=DeviceState.BUSY, detail=self.silence))
                for uuid in self._devices
            )
        )

    def _note_strange(self, readings: tuple[DeviceReading, ...]) -> None:
        strange = {reading.uuid for reading in readings} - self._devices.keys()
        for uuid in sorted(strange - self._strange):
            _log.warning("an accelerator has appeared; restart dlroverd-agent, and it is offered", device=uuid)
        self._strange = strange

    def _observe(self, observed: tuple[DeviceObservation, ...]) -> None:
        if observed == self._observed:
            return
        for each in observed:
            if each.state is DeviceState.LOST and each not in self._observed:
                _log.error("an accelerator is lost", device=each.uuid, reason=each.detail)
        self._observed = observed
        if self._tell is not None:
            self._tell(observed)


_BLOCKED = (
    "Reading /proc about a process on a device does not end: it is stuck in the kernel; see `ps -eo pid,stat,wchan`."
)


def _identity(reading: DeviceReading) -> DeviceReading:
    """Give what does not change of a device."""
    return DeviceReading(
        uuid=reading.uuid,
        model=reading.model,
        memory_bytes=reading.memory_bytes,
        nodes=reading.nodes,
        serial=reading.serial,
        address=reading.address,
    )


def _state(uuid: str, reading: DeviceReading | None, foreign: list[str]) -> DeviceObservation:
    if reading is None:
        return DeviceObservation(uuid=uuid, state=DeviceState.LOST, detail="the driver lists it no more")
    if reading.lost:
        return DeviceObservation(uuid=uuid, state=DeviceState.LOST, detail=reading.lost)
    if foreign:
        more = f", and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        return DeviceObservation(uuid=uuid, state=DeviceState.BUSY, detail=foreign[0] + more)
    return DeviceObservation(uuid=uuid, state=DeviceState.OK)


def _give(future: "asyncio.Future[tuple[Holder, ...]]", result: tuple[Holder, ...]) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[tuple[Holder, ...]]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
