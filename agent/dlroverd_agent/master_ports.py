"""Looks whether the port of a world is free again once the rank that served it is gone, and names who has it if not.

Of a rank's own processes none is left then, so it is someone else's: nothing is done to it but to say so. The next
world of the node gets another port in any case.
"""

import asyncio

import psutil
import structlog

from dlroverd.model.ids import RankKey
from dlroverd.model.world import Held
from dlroverd_agent import ports

_log = structlog.get_logger()


class MasterPorts:
    """The ports of those worlds whose rank 0 is on this node."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ports: dict[RankKey, int] = {}

    def note(self, held: Held) -> None:
        """Note the ports of what this node is to run; they are not told any more when it is to stop."""
        for each in held.assignments:
            if each.group_rank == 0:
                self._ports[each.round.rank(0)] = each.master_port

    async def look(self, key: RankKey) -> None:
        """Warn if the port of a rank that is gone is still taken; nothing for a rank that served none."""
        port = self._ports.pop(key, 0)
        if port and (who := await asyncio.to_thread(_who_has, port)):
            _log.warning("the port of a rank that is gone is still taken", rank=str(key), port=port, by=who)


def _who_has(port: int) -> str:
    """Name the processes that listen on a port; "" if it is free."""
    try:
        if not ports.taken(port):
            return ""
        found = psutil.net_connections("tcp")
    except (OSError, psutil.Error) as error:
        return f"an unknown process ({error})"
    listening = {each.pid for each in found if each.status == psutil.CONN_LISTEN and each.laddr[1:] == (port,)}
    return ", ".join(sorted(map(_name, listening))) or "an unknown process"


def _name(pid: int | None) -> str:
    if pid is None:
        return "a process of another user"
    try:
        return f"pid {pid} ({psutil.Process(pid).name()})"
    except psutil.Error:
        return f"pid {pid}"
