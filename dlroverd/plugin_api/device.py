"""What a device plugin gives: the accelerators of the host it runs on."""

import os.path
import re
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

# What CUDA_VISIBLE_DEVICES can hold between two commas.
_UUID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProcess:
    """A process that computes on a device; `memory_bytes` of the device's are its own (0: the driver does not say)."""

    pid: int
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """One accelerator as its driver shows it now.

    `uuid` is the same after a reboot, and what CUDA_VISIBLE_DEVICES takes. `nodes` are the paths in /dev that a
    process needs to use the device, whether they exist now or not. `lost` says in one sentence why it cannot be used
    any more, "" while it can. `serial` is the number printed on it, for whoever has to find it; "" if it has none.
    """

    uuid: str
    model: str
    memory_bytes: int
    nodes: tuple[str, ...] = ()
    lost: str = ""
    processes: tuple[DeviceProcess, ...] = ()
    serial: str = ""


@runtime_checkable
class Devices(Protocol):
    """Says which accelerators this host has, how they are, and who computes on them."""

    def read(self) -> tuple[DeviceReading, ...]:
        """Read all devices, in the driver's order, which must not change while the host is up.

        One that is lost is given with `lost` set, or left out where its driver names it no more. Raise, with one
        sentence, when the driver does not say what it has: nothing is granted then, and what runs goes on.
        """
        ...


def broken_rule(readings: tuple[DeviceReading, ...]) -> str:
    """Name the first rule that a reading breaks; "" if it keeps all."""
    seen: set[str] = set()
    for each in readings:
        if not _UUID.fullmatch(each.uuid):
            return f"{each.uuid!r} is no usable uuid: up to 100 letters, digits and ._:/-"
        if each.uuid in seen:
            return f"two devices have the uuid {each.uuid}"
        seen.add(each.uuid)
        if each.memory_bytes < 0:
            return f"device {each.uuid} has {each.memory_bytes} bytes of memory"
        for node in each.nodes:
            if os.path.normpath(node) != node or not node.startswith("/dev/"):
                return f"device {each.uuid} has the node {node!r}, which is no path in /dev"
        for process in each.processes:
            if process.pid <= 0 or process.memory_bytes < 0:
                return f"device {each.uuid} has the process {process.pid} with {process.memory_bytes} bytes"
    return ""
