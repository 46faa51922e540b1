"""One plugin process as the host sees it: start, talk, see it end, kill it with all that it started.

Must not block the loop, whatever the process does: it may never read, never stop writing, or never end.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace

from dlroverd.plugin_host import wire
from dlroverd.plugin_host.failures import PluginDiedError, PluginError

_CHILD_MODULE = "dlroverd.plugin_host.child"
_TAIL_BYTES = 4096
_READ_BYTES = 65536
# A plugin that prints without end is held to 1.3 MB/s by its full pipe, so that reading it costs the host nothing.
_READ_PAUSE_S = 0.05
# How long a process that has hung up may take to end by itself, so that its own exit status is told.
_HANG_UP_S = 1.0
# The daemon's own business with systemd: a plugin must not speak for it.
_NOT_INHERITED = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}
)


class Child:
    """A running plugin process. `condemned` is set by its owner once its end has been accounted for."""

    def __init__(self, process: subprocess.Popen[bytes], link: socket.socket, output: "_Output") -> None:
        """Watch a process that `start` started."""
        self.condemned = False
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._process = process
        self._link = link
        self._output = output
        self._asked = 0
        self._pidfd = os.pidfd_open(process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._on_exit)

    @classmethod
    def start(cls, plugin: str, memory_bytes: int) -> "Child":
        """Start the process of a plugin. PluginError if it cannot be started.

        On the loop's own thread, for the process asks the kernel to kill it when the thread that forked it
        ends; it takes about a millisecond, and no handler runs between vfork and exec.
        """
        with ExitStack() as ours, ExitStack() as theirs:
            link, its_link = socket.socketpair()
            ours.callback(link.close)
            theirs.callback(its_link.close)
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
            ours.callback(os.close, read_fd)
            theirs.callback(os.close, write_fd)
            try:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", _CHILD_MODULE, plugin, str(memory_bytes), str(os.getpid())],
                    stdin=its_link.fileno(),
                    stdout=write_fd,
                    stderr=write_fd,
                    env=_environment(),
                    start_new_session=True,
                )
            except OSError as error:
                raise PluginError(f"its process could not be started: {error}") from error
            ours.pop_all()
        return cls(process, link, _Output(read_fd))

    async def connect(self) -> None:
        """Get ready to talk."""
        self._reader, self._writer = await asyncio.open_connection(sock=self._link, limit=wire.MAX_LINE_BYTES)

    async def receive(self) -> wire.Answer:
        """Take the next thing it says; PluginError when it hung up, or said what is no answer."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            raise PluginDiedError(await self._how_it_hung_up()) from None
        except asyncio.LimitOverrunError:
            raise PluginError(f"it answered with more than {wire.MAX_LINE_BYTES} bytes") from None
        try:
            return wire.decode_answer(line)
        except ValueError as error:
            raise PluginError(f"its answer is not valid: {error}") from error

    async def ask(self, question: wire.Question) -> wire.Returned | wire.Refused | wire.Raised:
        """Ask one thing and wait for its answer. Whoever stops waiting leaves the process in order.

        Answers to questions that nobody waits for any more are passed over. PluginError as for `receive`.
        """
        self._asked += 1
        asked = replace(question, id=self._asked)
        # A batch, and a large world, take tens of milliseconds to encode, which the host's loop has not.
        large = isinstance(question, wire.Write | wire.Diagnose)
        line = await asyncio.to_thread(wire.encode_question, asked) if large else wire.encode_question(asked)
        try:
            self._writer.write(line)
            await self._writer.drain()
        except ConnectionError:
            raise PluginDiedError(await self._how_it_hung_up()) from None
        while True:
            answer = await self.receive()
            if not isinstance(answer, wire.Returned | wire.Refused | wire.Raised) or answer.id > self._asked:
                raise PluginError("it answered what it was not asked")
            if answer.id == self._asked:
                return answer

    def kill(self) -> None:
        """End it and all that it started, at once."""
        if not self._exited.done():
            for pid in [*_descendants(self._process.pid), self._process.pid]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    async def wait(self) -> str:
        """Wait until it has ended; say how, and what it printed last."""
        # asyncio.wait, since to await a future is to cancel it when the waiter is cancelled.
        await asyncio.wait([self._exited])
        return self._how_it_ended()

    async def end(self) -> None:
        """Kill it, wait until it is gone, and let go of the link."""
        self.kill()
        await self.wait()
        if hasattr(self, "_writer"):
            self._writer.close()
        self._link.close()

    def _how_it_ended(self) -> str:
        status = self._exited.result()
        how = f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"
        said = self._output.last_line()
        return f"its process {how}" + (f'; it last printed "{said}"' if said else "")

    async def _how_it_hung_up(self) -> str:
        await asyncio.wait([self._exited], timeout=_HANG_UP_S)
        return self._how_it_ended() if self._exited.done() else "it closed its connection"

    def _on_exit(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        os.close(self._pidfd)
        # Its group goes before it is reaped: until then nobody else can have its number.
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        status = self._process.wait()
        self._output.close()
        self._exited.set_result(status)


class _Output:
    """The end of what a process printed, to both of its outputs."""

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self._fd = fd
        self._tail = b""
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None
        self._loop.add_reader(fd, self._read)

    def last_line(self) -> str:
        """The last line that is not empty, "" if there is none; at most 200 characters."""
        lines = self._tail.decode(errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()]
        return "".join(c if c.isprintable() else "?" for c in said[-1][:200]) if said else ""

    def close(self) -> None:
        """Read what is there and close."""
        if self._pause is not None:
            self._pause.cancel()
        self._take()
        self._loop.remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        self._loop.remove_reader(self._fd)
        if self._take():
            self._pause = self._loop.call_later(_READ_PAUSE_S, self._loop.add_reader, self._fd, self._read)

    def _take(self) -> bool:
        with suppress(BlockingIOError):
            data = os.read(self._fd, _READ_BYTES)
            self._tail = (self._tail + data)[-_TAIL_BYTES:]
            return bool(data)
        return True


def _environment() -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    # pydantic imports plugins of its own from whatever is installed, and ends at the first broken metadata.
    return inherited | {"PYDANTIC_DISABLE_PLUGINS": "__all__"}


def _descendants(pid: int) -> Iterator[int]:
    """What a process started, and those in turn. It is a subreaper, so nothing leaves this tree while it lives."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                children = file.read().split()
            for child in children:
                yield int(child)
                yield from _descendants(int(child))
