"""What runs vaults: plain processes, or units of systemd (`units.py`). Neither ends with the agent."""

import asyncio
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from dlroverd_agent.launchers.leftovers import MARKER, kill_leftovers, kill_unrecorded
from dlroverd_agent.vaults.files import Order, VaultError, VaultFiles

_PAUSE_S, _KILL_S = 0.02, 10.0
_LOG_TAIL = 1000


class VaultHost(Protocol):
    """Starts vaults, says how they ended, and leaves nothing of them. Belongs to one asyncio loop."""

    async def recover(self, known: Collection[int]) -> None:
        """End the vaults of all but these jobs: nobody knows of them any more. VaultError: it cannot be said which."""
        ...

    async def start(self, files: VaultFiles, order: Order) -> None:
        """Start a vault. VaultError if it cannot be."""
        ...

    async def ended(self, files: VaultFiles) -> str:
        """Say how a vault ended; "" if it runs, as far as is known."""
        ...

    async def clear(self, files: VaultFiles, *, last: bool) -> None:
        """Kill what is left of a vault, and leave nothing of it in systemd. `last`: its job has left this node."""
        ...

    async def close(self) -> None:
        """Detach. Vaults go on."""
        ...


class ProcessVaults:
    """Vaults as processes in sessions of their own, known by a variable in their environment as ranks are."""

    def __init__(self, root: Path) -> None:
        """Start none yet."""
        self._root = root
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    async def recover(self, known: Collection[int]) -> None:
        """End those of which the folder was removed; see `VaultHost.recover`."""
        del known
        await _until_none(kill_unrecorded, self._root)

    async def start(self, files: VaultFiles, order: Order) -> None:
        """Start a vault; see `VaultHost.start`."""
        try:
            self._children[files.job] = await asyncio.to_thread(_spawn, files, order)
        except OSError as error:
            raise VaultError(f"its process cannot be started: {error}") from error

    async def ended(self, files: VaultFiles) -> str:
        """Say how a vault ended that this agent started; see `VaultHost.ended`."""
        child = self._children.get(files.job)
        if child is None or child.poll() is None:
            return ""
        words = await asyncio.to_thread(_last_words, files.log)
        return words or (f"signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}")

    async def clear(self, files: VaultFiles, *, last: bool) -> None:
        """Kill what carries the vault's mark; see `VaultHost.clear`."""
        del last
        await _until_none(kill_leftovers, files.folder)
        if (child := self._children.pop(files.job, None)) is not None:
            await asyncio.to_thread(child.wait)

    async def close(self) -> None:
        """Let go of them; see `VaultHost.close`."""
        self._children.clear()


async def _until_none(kill: Callable[[Path], list[int]], where: Path) -> None:
    """Kill until nothing is found any more. VaultError: something stays."""
    try:
        async with asyncio.timeout(_KILL_S):
            while True:
                left = await asyncio.to_thread(kill, where)
                if not left:
                    return
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise VaultError(f"processes {left} cannot be killed; reboot the node") from None


def _spawn(files: VaultFiles, order: Order) -> subprocess.Popen[bytes]:
    with open(files.log, "wb") as log:
        return subprocess.Popen(
            files.arguments(order),
            cwd="/",
            env={MARKER: str(files.folder)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _last_words(log: Path) -> str:
    try:
        lines = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
