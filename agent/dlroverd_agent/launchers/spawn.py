"""Gives birth to one rank's shim. Blocking, for a thread; it holds no state."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from dlroverd.model.fault import PORT_TAKEN
from dlroverd_agent.launchers import shim
from dlroverd_agent.launchers.files import RankFiles, Record
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.leftovers import MARKER

_SHIM_LOG_TAIL = 1000


class StartedBeforeError(Exception):
    """The rank's directory exists: it may have run, so it never runs again."""


class LaunchError(Exception):
    """The rank was not started; the message is PORT_TAKEN or one sentence."""


def spawn(files: RankFiles, order: LaunchOrder, record: Record) -> socket.socket:
    """Start a rank's shim and return a connection to it.

    Raises:
        StartedBeforeError: its directory exists.
        LaunchError: nothing was started, and never will be under this key.
    """
    try:
        files.directory.mkdir(mode=0o700)
    except FileExistsError:
        raise StartedBeforeError from None
    except OSError as error:
        raise LaunchError(f"its directory cannot be made: {error}") from error
    try:
        # The directory is the mark "started once": it must be found again even after a power cut.
        _sync(files.directory.parent)
        record.write(files.record)
        _make_error_folder(files, order)
        _check_port(order.env)
        _write_order(files, order)
        listener = listen(files)
        try:
            connection = connect(files)
            _run_shim(files, listener)
        finally:
            listener.close()
    except OSError as error:
        raise LaunchError(f"its shim cannot be started: {error}") from error
    return connection


def listen(files: RankFiles) -> socket.socket:
    """Bind the control socket, to be handed to the shim: a connection to it lives as long as the shim."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _reachable(files.control) as address:
        listener.bind(address)
    os.chmod(files.control, 0o600)
    listener.listen()
    return listener


def connect(files: RankFiles) -> socket.socket:
    """Connect to the shim; OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _reachable(files.control) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class _reachable:  # noqa: N801 # used as a function
    """Name a socket by its folder's descriptor: the address of a unix socket holds only 107 bytes."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._folder}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._folder)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_error_folder(files: RankFiles, order: LaunchOrder) -> None:
    """Make the one folder the rank may write; another user must be able to pass through ours to it."""
    folder = files.error.parent
    folder.mkdir(mode=0o700)
    if order.uid != os.geteuid() and os.geteuid() == 0:
        os.chown(folder, order.uid, order.gid)
        files.directory.chmod(0o711)


def _check_port(env: dict[str, str]) -> None:
    """See that rank 0, which serves the rendezvous store of its world, can have its port."""
    if env.get("RANK") != "0" or "MASTER_PORT" not in env:
        return
    family, address = (socket.AF_INET6, "::") if socket.has_dualstack_ipv6() else (socket.AF_INET, "0.0.0.0")
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As torch's store does: closed connections of an earlier round are no obstacle, a listener is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        try:
            probe.bind((address, int(env["MASTER_PORT"])))
            probe.listen()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise LaunchError(PORT_TAKEN) from error


def _write_order(files: RankFiles, order: LaunchOrder) -> None:
    env = {**order.env, MARKER: os.fspath(files.directory)}
    values = {"argv": order.argv, "cwd": order.cwd, "env": env, "uid": order.uid, "gid": order.gid}
    shim.replace_file(os.fspath(files.order), json.dumps(values).encode())


def _run_shim(files: RankFiles, listener: socket.socket) -> None:
    """Run the shim until it has left our process tree, in a session that no terminal reaches.

    subprocess uses vfork here: no handler of another thread's library (gRPC's) runs in the child.
    """
    program = [sys.executable, "-I", "-S", os.path.abspath(shim.__file__), str(listener.fileno())]
    with open(files.shim_log, "wb") as log:
        done = subprocess.run(
            program,
            cwd=files.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        raise LaunchError(f"its shim cannot be started: {shim_words(files) or f'exit {done.returncode}'}")


def shim_words(files: RankFiles) -> str:
    """Read the last line that a broken shim left, "" if none."""
    try:
        lines = files.shim_log.read_bytes()[-_SHIM_LOG_TAIL:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
