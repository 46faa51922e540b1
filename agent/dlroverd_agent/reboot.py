"""Reboots this host, in good order, as `systemctl reboot` does."""

import asyncio
import subprocess

import structlog

from dlroverd_agent.launchers.files import boot_id

_ASK_S = 30.0

_log = structlog.get_logger()


async def reboot(boot: str) -> None:
    """End boot `boot` of this host; one that has ended already is not ended again. What keeps it from that is logged.

    The daemon sees by the next hello whether it worked, and goes on wanting it until it did.
    """
    if boot != boot_id():
        return
    _log.warning("the daemon wants this host rebooted, and no rank is left on it")
    problem = await asyncio.to_thread(_ask)
    if problem:
        _log.error("this host cannot be rebooted; reboot it by hand", error=problem)


def _ask() -> str:
    try:
        asked = subprocess.run(
            ["systemctl", "--no-ask-password", "reboot"], capture_output=True, text=True, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return asked.stderr.strip() or f"systemctl ended with {asked.returncode}" if asked.returncode else ""
