"""What comes before any start of a rank: the mark that it was started, its files, its port. Blocking, for a thread."""

import fcntl
import os
import socket
from pathlib import Path

from dlroverd.model.fault import PORT_TAKEN
from dlroverd_agent import ports
from dlroverd_agent.durable import sync_folder
from dlroverd_agent.launchers.files import RankFiles, Record
from dlroverd_agent.launchers.interface import LauncherUnavailableError, LaunchOrder
from dlroverd_agent.launchers.leftovers import MARKER


class StartedBeforeError(Exception):
    """The rank's directory exists: it may have run, so it never runs again."""


class LaunchError(Exception):
    """The rank was not started; the message is PORT_TAKEN or one sentence."""


def make_root(state_dir: Path) -> Path:
    """Make the folder of all ranks' directories, once for all launchers of one state directory."""
    root = state_dir.absolute() / "ranks"
    # A rank of another user passes through to its error folder, and reads nothing on the way.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    root.parent.mkdir(mode=mode, parents=True, exist_ok=True)
    root.mkdir(mode=mode, exist_ok=True)
    return root


def prepare(files: RankFiles, order: LaunchOrder, record: Record) -> socket.socket:
    """Mark the rank as started, make its files and bind its control socket, which listens.

    Raises:
        StartedBeforeError: its directory exists.
        LaunchError: it can never be started under this key.
    """
    try:
        files.directory.mkdir(mode=0o700)
    except FileExistsError:
        raise StartedBeforeError from None
    except OSError as error:
        raise LaunchError(f"its directory cannot be made: {error}") from error
    try:
        # The directory is the mark "started once": it must be found again even after a power cut.
        sync_folder(files.directory.parent)
        record.write(files.record)
        if order.obstacle:
            raise LaunchError(order.obstacle)
        _make_error_folder(files, order)
        _check_port(order.env)
        return _listen(files)
    except OSError as error:
        raise LaunchError(f"its files cannot be made: {error}") from error


def order_values(files: RankFiles, order: LaunchOrder) -> dict[str, object]:
    """What `shim.become_rank` is to do, fit for JSON; the environment names the rank's directory, as its marker."""
    env = {**order.env, MARKER: os.fspath(files.directory)}
    who = {"uid": order.uid, "gid": order.gid, "person": (order.name, order.home, order.groups)}
    more = {"lease_until": order.lease_until, "secrets": order.secrets}
    return {"argv": order.argv, "cwd": order.cwd, "env": env, **who, **more}


def _listen(files: RankFiles) -> socket.socket:
    """Bind the control socket: a connection made to it lives as long as who is handed the socket."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with reachable(files.control) as address:
        listener.bind(address)
    os.chmod(files.control, 0o600)
    listener.listen()
    return listener


class reachable:  # noqa: N801 # used as a function
    """Name a socket by its folder's descriptor: the address of a unix socket holds only 107 bytes."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._folder}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _make_error_folder(files: RankFiles, order: LaunchOrder) -> None:
    """Make the one folder the rank may write; another user must be able to pass through ours to it."""
    folder = files.error.parent
    folder.mkdir(mode=0o700)
    if order.uid != os.geteuid() and os.geteuid() == 0:
        os.chown(folder, order.uid, order.gid)
        files.directory.chmod(0o711)


def _check_port(env: dict[str, str]) -> None:
    """See that rank 0, which serves the rendezvous store of its world, can have its port."""
    if env.get("RANK") == "0" and "MASTER_PORT" in env and ports.taken(int(env["MASTER_PORT"])):
        raise LaunchError(PORT_TAKEN)


def lock(root: Path) -> int:
    """Hold the folder of all ranks for this process; see `hold`."""
    remedy = "stop it, or give this one another state directory"
    return hold(root / "lock", f"another agent runs ranks from {root.parent}: {remedy}")


def hold(file: Path, refusal: str) -> int:
    """Lock a file until the descriptor given is closed; LauncherUnavailableError if another has it."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise LauncherUnavailableError(refusal) from None
    return descriptor
