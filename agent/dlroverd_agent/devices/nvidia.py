"""The device plugin for NVIDIA's GPUs, over pynvml. It may block: a call into a driver may never return."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pynvml

from dlroverd.plugin_api import DeviceEvent, DeviceProcess, DeviceReading, Devices, hookimpl
from dlroverd_agent.devices import nvidia_health as health
from dlroverd_agent.devices.nvidia_health import known

DLROVERD_API = 1

# Beside its own, each process that uses CUDA opens these; -tools is for profilers.
_SHARED_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


class NvidiaDevices:
    """Asks the driver which GPUs it has once, and from then on how each of those is."""

    def __init__(self) -> None:
        """Do not call the driver yet: loading a plugin is no time to wait for it."""
        self._idle: list[tuple[Any, DeviceReading]] = []
        self._xids: health.Xids | None = None

    def read(self) -> tuple[DeviceReading, ...]:
        """Read all GPUs in the order of NVML, which is that of their PCI addresses."""
        if not self._idle:
            pynvml.nvmlInit()
            self._idle = _find()
            self._xids = health.Xids(handle for handle, _ in self._idle)
        told = self._xids.read() if self._xids is not None else {}
        return tuple(_now(handle, idle, told.get(place, ())) for place, (handle, idle) in enumerate(self._idle))


def _find() -> list[tuple[Any, DeviceReading]]:
    found = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            found.append((handle, _identity(handle)))
        except pynvml.NVMLError_GpuIsLost:
            continue  # it cannot even say its UUID
    return found


def _identity(handle: Any) -> DeviceReading:
    return DeviceReading(
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        model=pynvml.nvmlDeviceGetName(handle),
        memory_bytes=pynvml.nvmlDeviceGetMemoryInfo(handle).total,
        nodes=(f"/dev/nvidia{pynvml.nvmlDeviceGetMinorNumber(handle)}", *_SHARED_NODES),
        serial=_serial(handle),
        address=health.address(handle),
    )


def _serial(handle: Any) -> str:
    """Read the number on the board; consumer boards have none."""
    try:
        return str(pynvml.nvmlDeviceGetSerial(handle))
    except pynvml.NVMLError_NotSupported:
        return ""


def _now(handle: Any, idle: DeviceReading, events: tuple[DeviceEvent, ...]) -> DeviceReading:
    """Add how a GPU is now. What merely draws on it (a desktop) does not count as a process."""
    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError_GpuIsLost:
        lost = "the driver says that the GPU is lost; only a reboot brings it back"
        return replace(idle, lost=lost, events=events)
    return replace(
        idle,
        processes=tuple(DeviceProcess(pid=each.pid, memory_bytes=each.usedGpuMemory or 0) for each in running),
        busy=known(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100.0),
        memory_used_bytes=known(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle).used),
        celsius=known(lambda: float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))),
        watts=known(lambda: pynvml.nvmlDeviceGetPowerUsage(handle) / 1000.0),
        clock_hertz=health.hertz(handle, pynvml.NVML_CLOCK_SM),
        memory_clock_hertz=health.hertz(handle, pynvml.NVML_CLOCK_MEM),
        pcie_generation=health.pcie_generation(handle),
        pcie_lanes=health.pcie_lanes(handle),
        counters=health.counters(handle),
        faults=health.faults(handle, used=bool(running)),
        events=events,
    )


@hookimpl
def dlroverd_register_device(register: Callable[[Devices], None]) -> None:
    """Hand over the GPUs."""
    register(NvidiaDevices())
