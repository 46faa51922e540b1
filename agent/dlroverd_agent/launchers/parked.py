"""A spare as the agent holds it: by a connection, with which it ends.

parking.py begins it, and dlroverd_train/_spare.py is it.
"""

import asyncio
import json
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlroverd.model.environment import lasting
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.launchers.leftovers import MARKER

# What the entries of the environment that come later may take: nine of them, most of them paths.
ROOM_BYTES = 8192
_MOST_ANSWER_BYTES = 4096


class BrokenError(Exception):
    """A spare is of no use; the message says why, without a full stop."""


@dataclass(slots=True, kw_only=True, eq=False)
class Parked:
    """A process that waits to be a rank. `channel` is it itself; `control` its shim, if it has one.

    `pid` is 0 where the agent need not know it.
    """

    channel: socket.socket
    control: socket.socket | None = None
    pid: int = 0

    async def send(self, text: bytes) -> None:
        """Send it what it runs. BrokenError: it is not there any more."""
        try:
            await asyncio.get_running_loop().sock_sendall(self.channel, text)
        except ConnectionError as error:
            raise BrokenError("it ended") from error

    async def do_imports(self, home: str, names: Iterable[str]) -> tuple[float, int]:
        """Import modules by name, what of them is installed; seconds of CPU for it, and bytes of memory then.

        `home` is the folder of the script. BrokenError: it could not stay what a new process is.
        """
        loop = asyncio.get_running_loop()
        await self.send(_message("import", home, *names))
        answer = b""
        try:
            while not answer.endswith(b"\n") and len(answer) < _MOST_ANSWER_BYTES:
                if not (piece := await loop.sock_recv(self.channel, _MOST_ANSWER_BYTES)):
                    break
                answer += piece
        except ConnectionError:
            pass  # as at its end
        try:
            cpu_s, memory = answer.decode(errors="replace").split()
            return float(cpu_s), int(memory)
        except ValueError:
            raise BrokenError(answer.decode(errors="replace").strip() or "it ended") from None

    def alive(self) -> bool:
        """Tell whether it waits still, and has nothing to say."""
        try:
            self.channel.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def become(self, files: RankFiles, cwd: str, env: dict[str, str]) -> None:
        """Have it go on as the rank; `last_words` tells whether it could. OSError: it is not there any more."""
        new = [f"{name}={value}" for name, value in coming(files, env).items()]
        # It takes it all at once: nothing else waits to be read there.
        self.channel.sendall(_message("become", str(files.output), str(files.imports), cwd, *new))

    async def last_words(self) -> str:
        """Wait until it has become the rank, or has said why not; "" if it has."""
        loop = asyncio.get_running_loop()
        said = b""
        try:
            while piece := await loop.sock_recv(self.channel, _MOST_ANSWER_BYTES):
                said += piece
        except ConnectionError:
            pass
        self.close()
        return said.decode(errors="replace")

    def close(self) -> None:
        """Let go of it: it ends if it is not the rank by now."""
        self.channel.close()
        if self.control is not None:
            self.control.close()


def coming(files: RankFiles, env: dict[str, str]) -> dict[str, str]:
    """Give what of a rank's environment a spare gets only when it becomes the rank."""
    kept = lasting(env)
    return {name: value for name, value in env.items() if name not in kept} | {MARKER: os.fspath(files.directory)}


def order_text(
    argv: Sequence[str],
    cwd: str,
    env: dict[str, str],
    *,
    uid: int,
    gid: int,
    secrets: Sequence[tuple[str, str, str]],
) -> bytes:
    """Write down what a spare is to run, as parking.py takes it. Its secrets are those of when it begins to wait."""
    order = {"argv": argv, "cwd": cwd, "env": lasting(env), "uid": uid, "gid": gid, "secrets": secrets}
    return _message(json.dumps(order | {"room": ROOM_BYTES}))


def pid_behind(connection: socket.socket) -> int:
    """Give the pid of who connected."""
    pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def fits(files: RankFiles, env: dict[str, str]) -> bool:
    """Tell whether there is room for what a spare gets when it becomes the rank."""
    return sum(len(f"{name}={value}\0".encode()) for name, value in coming(files, env).items()) < ROOM_BYTES


def folder(root: Path) -> Path:
    """Make the folder that spares begin in; `root` is that of the ranks' directories."""
    made = root / "parked"
    made.mkdir(mode=0o700, exist_ok=True)
    return made


def _message(*words: str) -> bytes:
    text = "\0".join(words).encode(errors="surrogateescape")
    return b"%d\n%s" % (len(text), text)
