"""The device plugin for NVIDIA's GPUs, over pynvml. It may block: a call into a driver may never return."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pynvml

from dlroverd.plugin_api import DeviceProcess, DeviceReading, Devices, hookimpl

DLROVERD_API = 1

# Beside its own, each process that uses CUDA opens these; -tools is for profilers.
_SHARED_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


class NvidiaDevices:
    """Asks the driver which GPUs it has once, and from then on how each of those is."""

    def __init__(self) -> None:
        """Do not call the driver yet: loading a plugin is no time to wait for it."""
        self._idle: list[tuple[Any, DeviceReading]] = []

    def read(self) -> tuple[DeviceReading, ...]:
        """Read all GPUs in the order of NVML, which is that of their PCI addresses."""
        if not self._idle:
            pynvml.nvmlInit()
            self._idle = _find()
        return tuple(_now(handle, idle) for handle, idle in self._idle)


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
    )


def _serial(handle: Any) -> str:
    """Read the number on the board; consumer boards have none."""
    try:
        return str(pynvml.nvmlDeviceGetSerial(handle))
    except pynvml.NVMLError_NotSupported:
        return ""


def _now(handle: Any, idle: DeviceReading) -> DeviceReading:
    """Add how a GPU is now. What merely draws on it (a desktop) does not count as a process."""
    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError_GpuIsLost:
        return replace(idle, lost="the driver says that the GPU is lost; only a reboot brings it back")
    return replace(
        idle,
        processes=tuple(DeviceProcess(pid=each.pid, memory_bytes=each.usedGpuMemory or 0) for each in running),
    )


@hookimpl
def dlroverd_register_device(register: Callable[[Devices], None]) -> None:
    """Hand over the GPUs."""
    register(NvidiaDevices())
