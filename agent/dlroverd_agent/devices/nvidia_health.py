"""How well an NVIDIA GPU is, over pynvml: clocks, counters of errors, states that are faults, and the driver's XIDs.

Not every GPU and driver tells all of it; what is not told is left out.
"""

import ctypes
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import pynvml

from dlroverd.plugin_api import DeviceEvent

T = TypeVar("T")

# Bits of what holds the clocks down (nvml.h, nvmlClocksEventReason...). That power is at its cap is as it should be.
_HARDWARE, _TOO_HOT, _POWER_BRAKE = 0x8, 0x20 | 0x40, 0x80
_NVLINK_ERRORS = (
    pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL,
    pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL,
    pynvml.NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL,
    pynvml.NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL,
)
# More at once than any fault makes: the rest is read the next time.
_MOST_EVENTS = 64


def known(read: Callable[[], T]) -> T | None:
    """Read one thing that not every GPU and driver tells; None if it is not told."""
    try:
        return read()
    except pynvml.NVMLError:
        return None


def address(handle: Any) -> str:
    """Give its place on the PCI bus as the kernel's log has it, without the function: `0000:41:00`."""
    info = known(lambda: pynvml.nvmlDeviceGetPciInfo_v3(handle))
    return f"{info.domain:04x}:{info.bus:02x}:{info.device:02x}" if info is not None else ""


def hertz(handle: Any, clock: int) -> float | None:
    """Give how fast a clock of it is."""
    return known(lambda: pynvml.nvmlDeviceGetClockInfo(handle, clock) * 1e6)


def counters(handle: Any) -> dict[str, float]:
    """Count its errors, since the driver was loaded, or since it was made: of use is how they rise."""
    rows = known(lambda: pynvml.nvmlDeviceGetRemappedRows(handle))
    counts = {
        "ecc_corrected": known(lambda: _ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED)),
        "ecc_uncorrected": known(lambda: _ecc(handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)),
        "rows_remapped": rows[0] + rows[1] if rows is not None else None,
        "nvlink_errors": known(lambda: _nvlink_errors(handle)),
        "pcie_replays": known(lambda: pynvml.nvmlDeviceGetPcieReplayCounter(handle)),
    }
    return {name: float(count) for name, count in counts.items() if count is not None}


def faults(handle: Any, *, used: bool) -> dict[str, str]:
    """Name the states it should not be in, with what the driver says; `used`: a process computes on it."""
    found = {}
    held = known(lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle)) or 0
    if held & _TOO_HOT:
        degrees = known(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))
        found["hot"] = f"its clocks are held down since it is too hot ({degrees} degrees Celsius)"
    elif held & (_HARDWARE | _POWER_BRAKE):
        found["power_brake"] = "its clocks are held down by its hardware, or since its power supply says so"
    _, _, pending, failed = known(lambda: pynvml.nvmlDeviceGetRemappedRows(handle)) or (0, 0, 0, 0)
    if pending:
        found["remap_pending"] = "a row of its memory is replaced at its next reset"
    if failed:
        found["remap_failed"] = "a row of its memory could not be replaced"
    lanes, most = pcie_lanes(handle), known(lambda: pynvml.nvmlDeviceGetMaxPcieLinkWidth(handle))
    if used and lanes and most and lanes < most:  # one that is idle may rest its lanes
        found["pcie_narrow"] = f"{lanes} lanes of {most}"
    return found


def pcie_lanes(handle: Any) -> int | None:
    """Give how many lanes its bus has now."""
    return known(lambda: int(pynvml.nvmlDeviceGetCurrPcieLinkWidth(handle)))


def pcie_generation(handle: Any) -> int | None:
    """Give the generation by which its bus runs now."""
    return known(lambda: int(pynvml.nvmlDeviceGetCurrPcieLinkGeneration(handle)))


def _ecc(handle: Any, kind: int) -> int:
    return int(pynvml.nvmlDeviceGetTotalEccErrors(handle, kind, pynvml.NVML_VOLATILE_ECC))


def _nvlink_errors(handle: Any) -> int | None:
    values = pynvml.nvmlDeviceGetFieldValues(handle, list(_NVLINK_ERRORS))
    told = [int(each.value.ullVal) for each in values if each.nvmlReturn == pynvml.NVML_SUCCESS]
    return sum(told) if told else None


class Xids:
    """The driver's stream of XIDs, of all GPUs."""

    def __init__(self, handles: Iterable[Any]) -> None:
        """Listen from now on, where the driver tells any."""
        self._handles = list(handles)
        self._set: Any = known(pynvml.nvmlEventSetCreate)
        for handle in self._handles if self._set is not None else ():
            known(lambda: pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, self._set))  # noqa: B023 - called at once

    def read(self) -> dict[int, tuple[DeviceEvent, ...]]:
        """Take what was told since the last time, by the place of the GPU among the handles."""
        found: dict[int, tuple[DeviceEvent, ...]] = {}
        places = {_pointer(handle): place for place, handle in enumerate(self._handles)}
        for _ in range(_MOST_EVENTS if self._set is not None else 0):
            told = known(lambda: pynvml.nvmlEventSetWait_v2(self._set, 0))
            if told is None:  # no more
                break
            place = places.get(_pointer(told.device))
            if place is not None and told.eventType == pynvml.nvmlEventTypeXidCriticalError:
                event = DeviceEvent(name=f"xid.{told.eventData}", detail=f"the driver tells of XID {told.eventData}")
                found[place] = (*found.get(place, ()), event)
        return found


def _pointer(handle: Any) -> int | None:
    return ctypes.cast(handle, ctypes.c_void_p).value
