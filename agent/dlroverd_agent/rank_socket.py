"""Who listens at a socket that a job's user serves. That user may put anything there, or a link to another's socket."""

import os
import socket
import struct

_PEER = struct.Struct("iII")


def peer(connection: socket.socket) -> tuple[int, int]:
    """Give the pid and the uid of who listens at the other end."""
    pid, uid, _ = _PEER.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return pid, uid


def need_owner(path: str, connection: socket.socket) -> None:
    """Raise PermissionError unless who listens is the user for whom the agent made the socket's folder."""
    owner, (_, uid) = os.lstat(os.path.dirname(path)).st_uid, peer(connection)
    if uid != owner:
        raise PermissionError(f"it is served by uid {uid}, and its folder is uid {owner}'s")
