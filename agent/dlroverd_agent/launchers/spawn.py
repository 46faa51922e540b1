"""Gives birth to one rank's shim. Blocking, for a thread; it holds no state."""

import json
import os
import socket
import subprocess
import sys

from dlroverd_agent.launchers import shim
from dlroverd_agent.launchers.files import RankFiles, Record
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.prepare import LaunchError, order_values, prepare, reachable

_SHIM_LOG_TAIL = 1000


def spawn(files: RankFiles, order: LaunchOrder, record: Record) -> socket.socket:
    """Start a rank's shim and return a connection to it.

    Raises:
        StartedBeforeError: its directory exists.
        LaunchError: nothing was started, and never will be under this key.
    """
    listener = prepare(files, order, record)
    try:
        shim.replace_file(os.fspath(files.order), json.dumps(order_values(files, order)).encode())
        connection = connect(files)
        _run_shim(files, listener)
    except OSError as error:
        raise LaunchError(f"its shim cannot be started: {error}") from error
    finally:
        listener.close()
    return connection


def connect(files: RankFiles) -> socket.socket:
    """Connect to the shim; OSError if there is none."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with reachable(files.control) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


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
