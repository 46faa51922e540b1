"""Ends what is left of units that nobody supervises any more: of earlier rounds, and of ranks without a record."""

from pathlib import Path

import structlog

from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers.control_group import UNKILLABLE_AFTER_S, ControlGroup
from dlroverd_agent.launchers.prepare import LaunchError
from dlroverd_agent.launchers.unit import UnitNames

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


async def end_unknown(key: RankKey, group: ControlGroup) -> None:
    """End what runs in a unit of which there is no record."""
    if not group.empty():
        _log.warning("ending a rank that is not recorded", rank=str(key), processes=group.names())
        left = await group.end(_UNKNOWN_S)
        if left:
            _log.error("processes of a rank cannot be killed; reboot the node", rank=str(key), processes=left)
