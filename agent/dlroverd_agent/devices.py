"""Lists this host's accelerators, in a child process (nvml.py): a call into a driver may never return."""

import asyncio
import json
import sys

from dlroverd.model.node import Device

DEADLINE_S = 5.0
KILL_S = 1.0


class DevicesUnknownError(Exception):
    """The driver did not say what it has; the message is one sentence."""


async def find_devices(deadline_s: float = DEADLINE_S) -> tuple[Device, ...]:
    """List all devices, in the driver's order. DevicesUnknownError if the driver is stuck or broken."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dlroverd_agent.nvml",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(deadline_s):
            listing, complaint = await child.communicate()
    except TimeoutError:
        await _kill(child)
        raise DevicesUnknownError(
            f"The accelerators' driver did not answer within {deadline_s:g} s: this node offers none. "
            "Look at `nvidia-smi` and the kernel's log, then restart dlroverd-agent."
        ) from None
    if child.returncode != 0:
        last_line = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        raise DevicesUnknownError(
            f"The accelerators' driver failed ({last_line}): this node offers none. "
            "Look at `nvidia-smi`, then restart dlroverd-agent."
        )
    return tuple(Device(**each) for each in json.loads(listing))


async def _kill(child: asyncio.subprocess.Process) -> None:
    child.kill()
    try:
        async with asyncio.timeout(KILL_S):
            await child.communicate()
    except TimeoutError:
        pass  # a process that is stuck within a driver does not even die of KILL
