"""The sockets' folders: no one else may put a socket there. One that others may enter serves them, as who they are."""

import os
import socket
import stat
from pathlib import Path

from dlroverd.protocol.channel import AddressError, socket_path


def prepare(address: str) -> None:
    """See that a socket can be had at `address` by this process alone; make its directory if there is none.

    Raises:
        AddressError: others may write to the directory, or something else is at the path: a living daemon, a file.
    """
    path = Path(socket_path(address))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = path.parent.stat()
    except OSError as error:
        raise AddressError(f"{address}: its directory cannot be used: {os.strerror(error.errno or 0)}.") from error
    if directory.st_uid != os.geteuid() or stat.S_IMODE(directory.st_mode) & 0o022:
        raise AddressError(
            f"{address}: none but its user may write to {path.parent}, for who does could pass for the daemon: "
            f"run `chown {os.geteuid()} {path.parent} && chmod 755 {path.parent}`, or name another one."
        )
    if not path.exists():
        return
    if not path.is_socket():
        raise AddressError(f"{address}: {path} is there and is no socket; remove it, or name another path.")
    if _answers(path):
        raise AddressError(f"{address}: another daemon is listening there; stop it, or name another path.")
    path.unlink()


def is_open(address: str) -> bool:
    """Tell whether others may enter the folder of a unix address, so that callers must show who they are."""
    return bool(stat.S_IMODE(Path(socket_path(address)).parent.stat().st_mode) & 0o011)


def let_all_call(address: str) -> None:
    """Have the socket at a unix address take callers of any user, once it is there."""
    os.chmod(socket_path(address), 0o666)  # noqa: S103 - what callers may do is for their roles to say


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # left behind by a process that is gone
            return False
        except BlockingIOError:  # one that has much to do
            return True
    return True
