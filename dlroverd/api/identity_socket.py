"""The socket that tells local callers who they are, by what the kernel says of their process."""

import asyncio
import os
import socket
import struct
from pathlib import Path

from dlroverd.protocol.channel import AddressError
from dlroverd.protocol.identity import identity_path
from dlroverd.trust.identity import Identities

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: struct ucred of unix(7)
_GOODBYE_S = 2.0


async def serve_identities(address: str, identities: Identities) -> asyncio.Server:
    """Answer whoever connects beside the unix socket `address`, which anyone may. AddressError if it cannot be had."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asking: socket.socket = writer.get_extra_info("socket")
            shown = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            _, uid, gid = _CREDENTIALS.unpack(shown)
            caller = await asyncio.to_thread(identities.caller, uid, gid)
            writer.write(identities.give(caller).encode() + b"\n")
            async with asyncio.timeout(_GOODBYE_S):
                await writer.drain()
        except (OSError, TimeoutError):
            pass  # who asked has gone
        finally:
            writer.close()

    return await asyncio.start_unix_server(answer, sock=_listening(Path(identity_path(address))))


def _listening(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Through the folder's descriptor: the name may be longer than a socket's may be.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        path.unlink(missing_ok=True)  # of a daemon that is gone: `sockets.prepare` saw that none lives
        listening.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o666)
    except OSError as error:
        listening.close()
        raise AddressError(f"{path}: cannot listen there: {error.strerror}.") from error
    finally:
        os.close(folder)
    return listening
