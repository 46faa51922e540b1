"""The device plugin of a host without accelerators."""

from collections.abc import Callable

from dlroverd.plugin_api import DeviceReading, Devices, hookimpl

DLROVERD_API = 1


class NoDevices:
    """Has nothing to read."""

    def read(self) -> tuple[DeviceReading, ...]:
        """Read no device."""
        return ()


@hookimpl
def dlroverd_register_device(register: Callable[[Devices], None]) -> None:
    """Hand over the absence of devices."""
    register(NoDevices())
