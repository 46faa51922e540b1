"""The sockets' directories: private, since whoever can reach a socket may do anything."""

import os
import socket
import stat
from pathlib import Path

from dlroverd.protocol.channel import AddressError, socket_path


def prepare(address: str) -> None:
    """See that a socket can be had at `address` by this process alone; make its directory if there is none.

    Raises:
        AddressError: the directory is not private, or something else is at the path: a living daemon, a file.
    """
    path = Path(socket_path(address))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = path.parent.stat()
    except OSError as error:
        raise AddressError(f"{address}: its directory cannot be used: {os.strerror(error.errno or 0)}.") from error
    if directory.st_uid != os.geteuid() or stat.S_IMODE(directory.st_mode) & 0o077:
        raise AddressError(
            f"{address}: {path.parent} must be its user's alone, for who reaches the socket may do anything: "
            f"run `chown {os.geteuid()} {path.parent} && chmod 700 {path.parent}`, or name another one."
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise AddressError(f"{address}: {path} is there and is no socket; remove it, or name another path.")
    if _answers(path):
        raise AddressError(f"{address}: another daemon is listening there; stop it, or name another path.")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # left behind by a process that is gone
            return False
        except BlockingIOError:  # one that has much to do
            return True
    return True
