"""The instant checks: they look, take no part in anything, and are done within a second or so."""

from collections.abc import Callable

from dlroverd.plugin_api import NodeCheck, hookimpl
from dlroverd_agent.checkups.builtin import devices, drivers, host, network, storage
from dlroverd_agent.checkups.builtin.look import Look

DLROVERD_API = 1

CHECKS = (
    Look("disk", host.disk),
    Look("memory", host.memory),
    Look("clock", host.clock),
    Look("limits", host.limits),
    Look("names", network.names),
    Look("interface", network.interface),
    Look("mounts", storage.mounts),
    Look("paths", storage.paths),
    Look("drivers", drivers.drivers),
    Look("devices", devices.devices),
)


@hookimpl
def dlroverd_register_node_check(register: Callable[[NodeCheck], None]) -> None:
    """Hand over each of them."""
    for check in CHECKS:
        register(check)
