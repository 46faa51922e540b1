"""Lets a rank have its accelerators: once nobody else is on them, and no others."""

import asyncio

from dlroverd.model.world import Assignment
from dlroverd_agent.devices.monitor import DeviceMonitor, DevicesUnknownError

# The kernel takes back the memory of a process that was killed within a second or two.
_FREE_WITHIN_S = 10.0
_LOOK_S = 0.1


async def device_nodes(monitor: DeviceMonitor, assignment: Assignment) -> tuple[str, ...] | None:
    """Give the files in /dev that the ranks of a world may open here, None if this host has no accelerators.

    Waits until what an earlier round had on them is gone. DevicesUnknownError if it stays, or the driver is silent.
    """
    if not monitor.uuids:
        return None
    nodes = monitor.nodes_for(assignment.devices)
    deadline = asyncio.get_running_loop().time() + _FREE_WITHIN_S
    while assignment.devices:
        held = await monitor.held_by(assignment.devices)
        others = [each for each in held if each.key is None or each.key.round_key != assignment.round]
        if not others:
            break
        if asyncio.get_running_loop().time() > deadline:
            raise DevicesUnknownError(
                f"Device {others[0].uuid} is still used by {others[0].who}: end that process, "
                "and restart the job if it does not by itself."
            )
        await asyncio.sleep(_LOOK_S)
    return nodes
