"""Chooses the launcher of this host."""

import os
from collections.abc import Callable
from pathlib import Path

import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.model.job import RankState
from dlroverd.model.world import RankObservation
from dlroverd_agent.launchers.files import LauncherKind, RankFiles, Record, boot_id
from dlroverd_agent.launchers.interface import Launcher, LauncherUnavailableError
from dlroverd_agent.launchers.process import ProcessLauncher

_BUS = "/run/dbus/system_bus_socket"

_log = structlog.get_logger()


def make_launcher(config: AgentConfig, on_change: Callable[[RankObservation], None]) -> Launcher:
    """Make the launcher that the configuration asks for; LauncherUnavailableError if it cannot work here."""
    state_dir = Path(config.state_dir)
    fit: LauncherKind = "systemd" if _systemd_fits() else "process"
    wanted: LauncherKind = fit if config.launcher == "auto" else config.launcher
    other: LauncherKind = "process" if wanted == "systemd" else "systemd"
    if _alive(state_dir / "ranks", other):
        # Only the launcher that started a rank can supervise it.
        if config.launcher != "auto":
            raise LauncherUnavailableError(
                f"ranks that the {other} launcher started run here: let them end first, or set `launcher: {other}`"
            )
        _log.warning(f"the {other} launcher stays until its ranks have ended and the agent is restarted")
        wanted = other
    if wanted == "process":
        return ProcessLauncher(state_dir, on_change)
    # dbus-fast is there on Linux only; elsewhere the process launcher says why nothing can be run.
    from dlroverd_agent.launchers.systemd import SystemdLauncher  # noqa: PLC0415 - as said

    return SystemdLauncher(state_dir, config.fleet, on_change)


def _systemd_fits() -> bool:
    """Tell whether systemd runs this host and would obey us. That its bus is silent now is no reason to do without."""
    return os.geteuid() == 0 and os.path.isdir("/run/systemd/system") and os.path.exists(_BUS)


def _alive(ranks: Path, launcher: LauncherKind) -> bool:
    """Tell whether ranks of a launcher may run, as their records have it."""
    if not ranks.is_dir():
        return False
    this_boot = boot_id()
    for directory in ranks.iterdir():
        files = RankFiles(directory)
        try:
            record = Record.parse(files.record.read_bytes())
        except (OSError, ValueError):
            continue
        if (record.launcher, record.boot_id) == (launcher, this_boot) and record.state is not RankState.GONE:
            return True
    return False
