"""How a rank's unit begins: with a first program that is handed the order, or as the spare that waits in it already."""

import asyncio
import json
import os
import socket
from pathlib import Path

import structlog

from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers import becoming, entry, parking
from dlroverd_agent.launchers.bus import CALL_S, NoAnswerError, RefusedError, Systemd, unit_path
from dlroverd_agent.launchers.control_group import UNKILLABLE_AFTER_S, ControlGroup
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.launchers.handover import hand_over
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.old_units import discard
from dlroverd_agent.launchers.parked import BrokenError, Parked, folder, order_text, pid_behind
from dlroverd_agent.launchers.prepare import LaunchError, order_values, reachable
from dlroverd_agent.launchers.unit import UnitNames, rank_properties, role_properties
from dlroverd_agent.launchers.watched_rank import WatchedRank

_ENTRY, _PARKING = os.path.abspath(entry.__file__), os.path.abspath(parking.__file__)
# Systemd lets go of a unit that is over within milliseconds; it tells nobody.
_LOOK_S = 0.01
_FORGOTTEN_S = 5.0

_log = structlog.get_logger()


async def begin_cold(
    systemd: Systemd, names: UnitNames, rank: WatchedRank, order: LaunchOrder, listener: socket.socket
) -> socket.socket | None:
    """Start a rank's unit and hand its first program the order; see `hand_over`. LaunchError: it did not ask for it."""
    slice_ = names.role(rank.key)
    if limits := role_properties(order.resources):
        await systemd.start_unit(slice_, limits)
    properties = rank_properties(order, (_ENTRY,), os.fspath(rank.files.directory), slice_)
    await systemd.start_unit(rank.unit, properties)
    text = json.dumps(order_values(rank.files, order)).encode()
    try:
        return await hand_over(listener, text, rank.ended, CALL_S)
    except TimeoutError:
        raise LaunchError(
            f"its unit did not ask for its order within {CALL_S:.0f} s; see `journalctl -u {rank.unit}`"
        ) from None


def begin_warm(files: RankFiles, order: LaunchOrder, spare: Parked) -> bool:
    """Have a spare go on as the rank; False if it is not there any more. Blocking.

    Empty, `launch_error` says that the rank's program runs: an agent that dies here leaves one that ends at once.
    """
    if not spare.alive():
        return False
    try:
        os.close(os.open(files.launch_error, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        os.close(becoming.open_output(order.uid, order.gid, os.fspath(files.output)))
        parking.lift(spare.pid, 0, order.resources.oom_score_adjust)
        spare.become(files, order.cwd, order.env)
    except OSError as error:
        _log.warning("a spare cannot be the rank; it is started anew", rank=str(order.key), error=str(error))
        files.launch_error.unlink(missing_ok=True)
        return False
    return True


class UnitParking:
    """A `Parking`: each spare in the unit of the rank that it is to be. `keys` are those of the spares there are."""

    def __init__(self, systemd: Systemd, names: UnitNames, tree: Path, root: Path) -> None:
        """Begin none yet; `root` is the folder of the ranks' directories, `tree` that of the control groups."""
        self._systemd = systemd
        self._names = names
        self._tree = tree
        self._root = root
        self.keys: set[RankKey] = set()

    async def park(self, order: LaunchOrder) -> Parked:
        """Begin a spare; see `Parking.park`."""
        self.keys.add(order.key)
        begun = False
        try:
            channel = await self._connected(order)
            channel.setblocking(False)
            spare = Parked(channel=channel, pid=pid_behind(channel))
            await spare.send(
                order_text(order.argv, order.cwd, order.env, uid=order.uid, gid=order.gid, secrets=order.secrets)
            )
            begun = True
            return spare
        except (TimeoutError, OSError, RefusedError, NoAnswerError) as error:
            raise BrokenError(f"its unit did not begin ({error or 'no answer'})") from error
        finally:
            if not begun:  # also if nobody waits for it any more: the unit must not be in the rank's way
                await self._end(order.key)

    async def unpark(self, key: RankKey, spare: Parked) -> None:
        """End a spare; see `Parking.unpark`."""
        spare.close()
        await self._end(key)

    async def _connected(self, order: LaunchOrder) -> socket.socket:
        where = await asyncio.to_thread(folder, self._root)
        file = where / f"{order.key.unit}.sock"
        file.unlink(missing_ok=True)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
                with reachable(file) as address:
                    listener.bind(address)
                file.chmod(0o600)
                listener.listen()
                listener.setblocking(False)
                program = (_PARKING, "unit", file.name)
                properties = rank_properties(order, program, os.fspath(where), self._names.role(order.key))
                async with asyncio.timeout(CALL_S):
                    await self._systemd.start_unit(self._names.rank(order.key), properties)
                    return (await asyncio.get_running_loop().sock_accept(listener))[0]
        finally:
            file.unlink(missing_ok=True)

    async def _end(self, key: RankKey) -> None:
        """End what is in the unit, and have systemd forget it, so that the rank may have one of that name."""
        unit = self._names.rank(key)
        left = await ControlGroup(self._tree / self._names.path(key)).end(UNKILLABLE_AFTER_S)
        if left:
            _log.error("processes of a spare cannot be killed; reboot the node", rank=str(key), processes=left)
        await discard(self._systemd, unit)
        try:
            async with asyncio.timeout(_FORGOTTEN_S):
                while (await self._systemd.unit(unit_path(unit)))["LoadState"] != "not-found":  # noqa: ASYNC110 - as said
                    await asyncio.sleep(_LOOK_S)
        except (TimeoutError, NoAnswerError):
            _log.warning("systemd keeps the unit of a spare that is over", unit=unit)
        self.keys.discard(key)
