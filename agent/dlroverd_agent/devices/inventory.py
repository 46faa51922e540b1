"""Which devices this boot of the host has had, kept over restarts of the agent.

So a device that vanished while no agent looked is told of as lost, and a driver that is stuck when the agent starts
does not hide the devices that ranks run on. Of use within one boot only: it need not survive a power cut.
"""

import os
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from dlroverd.plugin_api import DeviceReading
from dlroverd_agent.launchers.files import boot_id

_log = structlog.get_logger()
# The boot, the plugin, and its devices.
_KEPT = TypeAdapter(tuple[str, str, tuple[DeviceReading, ...]])


class InventoryFile:
    """`devices.json` in the agent's state directory, for one device plugin."""

    def __init__(self, state_dir: Path, plugin: str) -> None:
        self._path = state_dir / "devices.json"
        self._plugin = plugin

    def load(self) -> tuple[DeviceReading, ...]:
        """Read what this plugin listed during this boot; nothing if there is no such listing. Blocking."""
        try:
            boot, plugin, devices = _KEPT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            _log.warning("the list of devices cannot be read; the driver's own is used", error=str(error))
            return ()
        return devices if (boot, plugin) == (boot_id(), self._plugin) else ()

    def save(self, devices: tuple[DeviceReading, ...]) -> None:
        """Write it, whole or not at all. Blocking."""
        new = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(new, flags, 0o600), "wb") as file:
                file.write(_KEPT.dump_json((boot_id(), self._plugin, devices)))
            new.rename(self._path)
        except OSError as error:
            _log.warning("the list of devices cannot be kept on disk; make room", error=str(error))
