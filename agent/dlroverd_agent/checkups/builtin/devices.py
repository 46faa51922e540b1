"""Accelerators: those of the host are there, answer, and are nobody else's."""

from pathlib import Path

from dlroverd.model.node import DeviceState
from dlroverd.plugin_api import CheckContext, CheckVerdict
from dlroverd.probes import nvidia
from dlroverd_agent.checkups.builtin.look import bad, ok, unknown


def devices(context: CheckContext) -> CheckVerdict:
    """See that no device is lost or somebody else's, and that the driver has all that the bus has."""
    return of_host(context, Path("/"))


def of_host(context: CheckContext, root: Path) -> CheckVerdict:
    """Look at the devices that the agent knows, and at those on the bus."""
    lost = [each for each in context.devices if each.state is DeviceState.LOST]
    if lost:
        return bad(f"device {lost[0].uuid} is lost: {lost[0].detail}; reset it or reboot the host")
    here, there = len(context.devices), nvidia.on_bus(root)
    if there and not here:
        return unknown(f"the PCI bus has {there} NVIDIA devices, and the agent knows none: is their driver loaded?")
    if there > here:
        return bad(
            f"the PCI bus has {there} NVIDIA devices, and the driver {here}: see `dmesg | grep NVRM`, and reboot "
            "the host"
        )
    busy = [each for each in context.devices if each.state is DeviceState.BUSY]
    if busy:
        return unknown(f"device {busy[0].uuid} is in use: {busy[0].detail}")
    return ok(f"{here} devices, none lost, none in strange hands" if here else "it has no accelerators")
