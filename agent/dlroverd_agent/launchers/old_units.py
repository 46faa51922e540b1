"""Finds units by looking, and ends what nobody supervises any more: of earlier rounds, of ranks without a record."""

import signal
from collections.abc import Collection
from pathlib import Path

import structlog

from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers.bus import NoAnswerError, RefusedError, Systemd, unit_path
from dlroverd_agent.launchers.control_group import UNKILLABLE_AFTER_S, ControlGroup
from dlroverd_agent.launchers.interface import LauncherUnavailableError, SurveyError
from dlroverd_agent.launchers.prepare import LaunchError
from dlroverd_agent.launchers.unit import UnitNames

_RUNNING = "running"
# A rank that cannot be killed keeps nobody else from being supervised.
_UNKNOWN_S = 5.0

_log = structlog.get_logger()


async def end_older(new: RankKey, role: Path, names: UnitNames) -> None:
    """End what is left of other rounds of a rank's gang, in the control group `role`; LaunchError if that fails."""
    for folder in role.glob("*.service"):  # noqa: ASYNC240 - the kernel's own files
        key, group = names.key(folder.name), ControlGroup(folder)
        if key is None or key.gang_key != new.gang_key or key.round == new.round or group.empty():
            continue
        _log.warning("ending what is left of an earlier round", rank=str(key), processes=group.names())
        left = await group.end(UNKILLABLE_AFTER_S)
        if left:
            raise LaunchError(
                f"processes of {key} are left here and cannot be killed: {', '.join(left)}; reboot the node"
            )


async def end_unknown(
    systemd: Systemd, names: UnitNames, tree: Path, root: Path, known: Collection[RankKey]
) -> list[RankKey]:
    """End what runs in units of which `root` has no record: nobody could supervise, stop or even name it again.

    The ranks whose units are left for systemd to forget. LauncherUnavailableError if they are those of another agent.
    """
    listed, folders = await _units(systemd, names, tree)
    units = {unit for unit, _ in listed} | {folder.name for folder in folders}
    unknown = sorted({key for key in map(names.key, units) if key is not None and key not in known})
    for key in unknown:
        group = ControlGroup(tree / names.path(key))
        if group.empty():
            continue
        unit = await systemd.unit(unit_path(names.rank(key)))
        directory = Path(unit.get("WorkingDirectory") or root / key.unit)
        if directory.parent != root:
            raise LauncherUnavailableError(
                f"ranks of the state directory {directory.parents[1]} run here, in units of the same fleet: "
                "give this agent that `state_dir`, or another `fleet`"
            )
        _log.warning("ending a rank that is not recorded", rank=str(key), processes=group.names())
        left = await group.end(_UNKNOWN_S)
        if left:
            _log.error("processes of a rank cannot be killed; reboot the node", rank=str(key), processes=left)
    return unknown


async def alive(systemd: Systemd, names: UnitNames, tree: Path) -> frozenset[RankKey]:
    """Find the ranks of which processes are here: in a running unit of any slice, or in their own control group.

    SurveyError: systemd does not say.
    """
    try:
        listed, folders = await _units(systemd, names, tree)
    except (RefusedError, NoAnswerError) as error:
        raise SurveyError(f"the units of this host cannot be listed: {error}") from error
    units = {unit for unit, state in listed if state == _RUNNING}
    units |= {folder.name for folder in folders if not ControlGroup(folder).empty()}
    return frozenset(key for key in map(names.key, units) if key is not None)


async def kill(systemd: Systemd, names: UnitNames, tree: Path, key: RankKey) -> bool:
    """Kill what runs in a rank's control group or, as its unit, in another slice; whether the group is empty then."""
    left = await ControlGroup(tree / names.path(key)).end(_UNKNOWN_S)
    if left:
        _log.error("processes of a rank cannot be killed; reboot the node", rank=str(key), processes=left)
    await ask(systemd, "KillUnit", "ssi", names.rank(key), "all", signal.SIGKILL)
    return not left


async def discard(systemd: Systemd, unit: str) -> None:
    """Let systemd forget a unit of which nothing runs."""
    await ask(systemd, "StopUnit", "ss", unit, "replace")
    await ask(systemd, "ResetFailedUnit", "s", unit)


async def ask(systemd: Systemd, member: str, signature: str, unit: str, *arguments: str | int) -> None:
    """Ask something of a unit that need not be there any more."""
    try:
        await systemd.call(member, signature, unit, *arguments)
    except RefusedError:
        pass  # there is no such unit: all the better
    except NoAnswerError as error:
        _log.warning("a unit is left for the next start of the agent", unit=unit, error=str(error))


async def _units(systemd: Systemd, names: UnitNames, tree: Path) -> tuple[list[tuple[str, str]], list[Path]]:
    """List the ranks' units, each with its state, and the control groups of such units."""
    (listed,) = await systemd.call("ListUnitsByPatterns", "asas", [], [names.pattern])
    folders = list((tree / names.folder(names.fleet_slice)).rglob("*.service"))
    return [(unit[0], unit[4]) for unit in listed], folders
