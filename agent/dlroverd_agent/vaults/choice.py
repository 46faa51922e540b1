"""Chooses what runs vaults: what runs ranks."""

from collections.abc import Callable
from pathlib import Path

from dlroverd.config.agent import AgentConfig
from dlroverd.model.world import Held
from dlroverd_agent.events.flow import EventFlow
from dlroverd_agent.launchers.interface import Launcher
from dlroverd_agent.launchers.process import ProcessLauncher
from dlroverd_agent.vaults.host import ProcessVaults, VaultHost
from dlroverd_agent.vaults.vaults import Vaults


def make_vaults(config: AgentConfig, launcher: Launcher, held: Callable[[], Held], events: EventFlow) -> Vaults:
    """Make the vaults of an agent with this launcher."""
    root = events.folder / "vaults"
    return Vaults(config.node, root, _host(config.fleet, launcher, root), held, events)


def _host(fleet: str, launcher: Launcher, root: Path) -> VaultHost:
    if isinstance(launcher, ProcessLauncher):
        return ProcessVaults(root)
    # dbus-fast is there on Linux only.
    from dlroverd_agent.vaults.units import UnitVaults  # noqa: PLC0415 - as said

    return UnitVaults(fleet)
