"""Vaults as units of systemd: each a transient service in its job's slice, outside of those of its roles."""

import re
import resource
from collections.abc import Collection, Mapping
from typing import Any

from dbus_fast import Variant

from dlroverd_agent.launchers.bus import NoAnswerError, RefusedError, Systemd, unit_path
from dlroverd_agent.launchers.control_group import UNKILLABLE_AFTER_S, ControlGroup, systemd_tree
from dlroverd_agent.launchers.leftovers import MARKER
from dlroverd_agent.launchers.old_units import ask, discard
from dlroverd_agent.launchers.unit import Property, ServiceState, UnitNames
from dlroverd_agent.vaults.files import Order, VaultError, VaultFiles

# Ranks fill a host's memory, and can be started again from what the vault has; -900 is the agent's own.
_OOM_SCORE_ADJUST = -500
_STOP_S = 5
_LEAST_WEIGHT = 1
_UNLIMITED = 2**64 - 1


class UnitVaults:
    """The vaults of a fleet on this host. They have a connection to systemd of their own, made when it is needed."""

    def __init__(self, fleet: str) -> None:
        """Start none yet."""
        self._names = UnitNames(fleet)
        self._systemd = Systemd(_deaf, lambda: None)
        self._connected = False

    async def recover(self, known: Collection[int]) -> None:
        """End the units of other jobs' vaults; see `VaultHost.recover`."""
        try:
            await self._connect()
            (listed,) = await self._systemd.call("ListUnitsByPatterns", "asas", [], [self._unit("*")])
        except (NoAnswerError, RefusedError) as error:
            raise VaultError(f"systemd does not say which vaults there are: {error}") from error
        for unit, *_ in listed:
            found = re.fullmatch(self._unit(r"(\d+)"), unit)
            if found is not None and int(found[1]) not in known:
                await self._clear(int(found[1]), last=True)

    async def start(self, files: VaultFiles, order: Order) -> None:
        """Start a vault; see `VaultHost.start`."""
        try:
            await self._connect()
            slice_ = self._names.job(files.job)
            await self._systemd.start_unit(self._unit(files.job), _properties(files, order, slice_))
        except (NoAnswerError, RefusedError) as error:
            raise VaultError(f"systemd does not start it: {error}") from error

    async def ended(self, files: VaultFiles) -> str:
        """Say how a vault ended; see `VaultHost.ended`."""
        unit = self._unit(files.job)
        try:
            await self._connect()
            properties = await self._systemd.unit(unit_path(unit))
        except (NoAnswerError, RefusedError) as error:
            return str(error)
        if properties["LoadState"] == "not-found":
            return "systemd knows its unit no more"
        state = ServiceState.of(properties)
        return f"{state.result}, status {state.status}; `journalctl -u {unit}` may say more" if state.ended else ""

    async def clear(self, files: VaultFiles, *, last: bool) -> None:
        """Empty its control group and have its unit forgotten, with the job's slice at last; see `VaultHost.clear`."""
        await self._clear(files.job, last=last)

    async def close(self) -> None:
        """Hang up; see `VaultHost.close`."""
        await self._systemd.close()

    async def _clear(self, job: int, *, last: bool) -> None:
        try:
            await self._connect()
        except NoAnswerError as error:
            raise VaultError(str(error)) from error
        if (tree := systemd_tree()) is None:
            raise VaultError("systemd has no tree of control groups any more")
        unit, slice_ = self._unit(job), self._names.job(job)
        group = ControlGroup(tree / self._names.folder(slice_) / unit)
        if left := await group.end(UNKILLABLE_AFTER_S):
            raise VaultError(f"its processes cannot be killed: {', '.join(left)}; reboot the node")
        await discard(self._systemd, unit)
        if last and ControlGroup(group.folder.parent).empty():
            await ask(self._systemd, "StopUnit", "ss", slice_, "replace")

    async def _connect(self) -> None:
        if not self._connected:
            await self._systemd.connect()
            self._connected = True

    def _unit(self, job: int | str) -> str:
        return f"dlroverd-{self._names.fleet}-j{job}-vault.service"


def _deaf(path: str, properties: Mapping[str, Any]) -> None:
    """Hear nothing: how a vault goes is seen by its process."""


def _properties(files: VaultFiles, order: Order, slice_: str) -> list[Property]:
    """Say how systemd is to run a vault. Nothing in its command is a secret of the job's."""
    program, *words = (word.replace("$", "$$") for word in files.arguments(order))
    return [
        ("Description", Variant("s", f"dlroverd checkpoint memory of job {order.job}")),
        ("Slice", Variant("s", slice_)),
        ("Type", Variant("s", "exec")),
        ("ExecStart", Variant("a(sasb)", [[program, [program, *words], False]])),
        # By which also the process launcher would find it.
        ("Environment", Variant("as", [f"{MARKER}={files.folder}"])),
        ("TimeoutStopUSec", Variant("t", _STOP_S * 1_000_000)),
        # A connection and a thread for each rank; it writes to storage on more.
        ("LimitNOFILE", Variant("t", resource.getrlimit(resource.RLIMIT_NOFILE)[1])),
        ("TasksMax", Variant("t", _UNLIMITED)),
        ("MemoryAccounting", Variant("b", True)),
        ("OOMScoreAdjust", Variant("i", _OOM_SCORE_ADJUST)),
        # Beside the slices of roles, whose ranks come first: niceness counts only within a unit.
        ("CPUWeight", Variant("t", _LEAST_WEIGHT)),
    ]
