"""What a device plugin gives: the accelerators of the host it runs on."""

import os.path
import re
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

# What CUDA_VISIBLE_DEVICES can hold between two commas.
_UUID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}", re.ASCII)


# A signal's name (model/signal.py), with what is put before it.
_NAME = re.compile(r"[a-z0-9_.]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceProcess:
    """A process that computes on a device; `memory_bytes` of the device's are its own (0: the driver does not say)."""

    pid: int
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """Something that the driver said of a device: `name` as in the table of signals (xid.79), `detail` in one line."""

    name: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """One accelerator as its driver shows it now.

    `uuid` is the same after a reboot, and what CUDA_VISIBLE_DEVICES takes. `nodes` are the paths in /dev that a
    process needs to use the device, whether they exist now or not. `lost` says in one sentence why it cannot be used
    any more, "" while it can. `serial` is the number printed on it, "" if it has none. `busy` is the share of time in
    which it worked lately (0 to 1), beside the memory in use, the chip's temperature in °C and the power drawn in W;
    None for what the driver does not say. So are the clocks, and what its bus is now.

    `address` is its place on the PCI bus, `0000:41:00`. `counters` are counts of errors (`ecc_uncorrected`), of which
    only the rise counts; `faults` are states it should not be in now (`hot`), each with a detail; `events` are what the
    driver said since the last reading. docs/signals.md has the names, and what follows from them.
    """

    uuid: str
    model: str
    memory_bytes: int
    nodes: tuple[str, ...] = ()
    lost: str = ""
    processes: tuple[DeviceProcess, ...] = ()
    serial: str = ""
    busy: float | None = None
    memory_used_bytes: int | None = None
    celsius: float | None = None
    watts: float | None = None
    address: str = ""
    clock_hertz: float | None = None
    memory_clock_hertz: float | None = None
    pcie_generation: int | None = None
    pcie_lanes: int | None = None
    counters: dict[str, float] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    events: tuple[DeviceEvent, ...] = ()


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
        for name in (*each.counters, *each.faults, *(event.name for event in each.events)):
            if not _NAME.fullmatch(name):
                return f"device {each.uuid} tells of {name!r}, which is no name: up to 60 of a-z, 0-9, '_' and '.'"
    return ""
