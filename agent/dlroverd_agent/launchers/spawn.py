"""Gives birth to the shim of a rank, or of a spare; it holds no state."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers import becoming, parking, shim
from dlroverd_agent.launchers.files import RankFiles, Record
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.parked import BrokenError, Parked, folder, order_text
from dlroverd_agent.launchers.prepare import LaunchError, order_values, prepare, reachable

_SHIM_LOG_TAIL = 1000


def spawn(files: RankFiles, order: LaunchOrder, record: Record) -> socket.socket:
    """Start a rank's shim, or give the rank to that of its spare, and return a connection to it. Blocking.

    Raises:
        StartedBeforeError: its directory exists.
        LaunchError: nothing was started, and never will be under this key.
    """
    listener = prepare(files, order, record)
    try:
        connection = connect(files)
        if order.spare is None or not _give_to(order.spare, files, order, listener):
            if order.spare is not None:
                order.spare.close()
            shim.replace_file(os.fspath(files.order), json.dumps(order_values(files, order)).encode())
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
    with open(files.shim_log, "wb") as log:
        code = _run(files.directory, log, os.path.abspath(shim.__file__), descriptors=(listener.fileno(),))
    if code != 0:
        raise LaunchError(f"its shim cannot be started: {shim_words(files) or f'exit {code}'}")


def _run(where: Path, log: IO[bytes], *words: str, descriptors: Sequence[int]) -> int:
    """Run a program, told the descriptors that it has, until its first process ends; its exit code."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", *words, *map(str, descriptors)],
        cwd=where,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=log,
        pass_fds=descriptors,
        start_new_session=True,
        check=False,
    )
    return done.returncode


class ShimParking:
    """A `Parking`: each spare below a shim of its own. `root` is the folder of the ranks' directories."""

    def __init__(self, root: Path) -> None:
        """Begin none yet."""
        self._root = root

    async def park(self, order: LaunchOrder) -> Parked:
        """Begin a spare; see `Parking.park`."""
        spare = await asyncio.to_thread(_begin_spare, self._root)
        await spare.send(
            order_text(order.argv, order.cwd, order.env, uid=order.uid, gid=order.gid, secrets=order.secrets)
        )
        return spare

    async def unpark(self, key: RankKey, spare: Parked) -> None:
        """End a spare; see `Parking.unpark`. It ends by itself then, and is in nobody's way meanwhile."""
        del key
        spare.close()


def _begin_spare(root: Path) -> Parked:
    control, controlled = socket.socketpair()
    channel, other = socket.socketpair()
    with controlled, other, open(os.devnull, "wb") as log:
        descriptors = (controlled.fileno(), other.fileno())
        code = _run(folder(root), log, os.path.abspath(parking.__file__), "shim", descriptors=descriptors)
    channel.setblocking(False)
    spare = Parked(channel=channel, control=control)
    if code != 0:
        spare.close()
        raise BrokenError(f"its shim cannot be started: exit {code}")
    return spare


def _give_to(spare: Parked, files: RankFiles, order: LaunchOrder, listener: socket.socket) -> bool:
    """Have a spare go on as the rank, and its shim serve it; False if it is not there any more."""
    if spare.control is None or not spare.alive():
        return False
    os.close(becoming.open_output(order.uid, order.gid, os.fspath(files.output)))
    try:
        socket.send_fds(spare.control, [os.fsencode(files.directory)], [listener.fileno()])
        if not spare.control.recv(1):
            return False
    except OSError:
        return False
    try:
        spare.become(files, order.cwd, order.env)
    except OSError:
        pass  # it ended just now, and its shim, which has the rank by now, says how
    return True


def shim_words(files: RankFiles) -> str:
    """Read the last line that a broken shim left, "" if none."""
    try:
        lines = files.shim_log.read_bytes()[-_SHIM_LOG_TAIL:].decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
