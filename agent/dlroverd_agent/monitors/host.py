"""The host's readings, asked of a child process with a deadline: one that is late is killed, never joined by another.

A thread would do for a read that is slow, but not for one that never ends: no signal ends a process of which one thread
is stuck in the kernel, and so systemd could not even restart the agent.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping

from pydantic import TypeAdapter, ValidationError

from dlroverd.model.ids import RankKey
from dlroverd.model.telemetry import Sample
from dlroverd_agent.launchers.files import key_of

# A reading takes some hundredths of a second, and Python a fifth of one to start.
ANSWER_S = 5.0
_KILL_S = 1.0
# Python and psutil have 35 MB of addresses; what a host of 100,000 processes adds stays far below.
_MEMORY_BYTES = 512 * 1024**2
_MOST_BYTES = 4 * 1024**2
_ANSWER = TypeAdapter(tuple[dict[str, float], dict[str, dict[str, float]], dict[str, float]])


class MonitorError(Exception):
    """Nothing could be read; the message is one sentence."""


class HostMonitor:
    """Keeps the child, and asks it. One reading at a time."""

    def __init__(
        self,
        state_dir: str,
        counted: Callable[[Mapping[str, float]], None] = lambda _: None,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Nothing runs before the first reading. `counted` gets what the host counts of its faults."""
        self._state_dir = state_dir
        self._counted = counted
        self._answer_s = answer_s
        self._child: asyncio.subprocess.Process | None = None
        self._condemned = False

    async def read(self, ranks: Mapping[RankKey, int]) -> list[Sample]:
        """Read the host, and its ranks by their main processes' pids. MonitorError if the child does not answer."""
        question = json.dumps({key.unit: pid for key, pid in ranks.items()})
        try:
            async with asyncio.timeout(self._answer_s):
                host, of_ranks, counters = _ANSWER.validate_json(await self._ask(question))
        except TimeoutError:
            await self._end()
            raise MonitorError(
                f"the host was not read within {self._answer_s:g} s: see if the file system of {self._state_dir} hangs"
            ) from None
        except (OSError, ValidationError) as error:
            await self._end()
            raise MonitorError(f"the process that reads the host broke, and is started anew: {error}") from error
        self._counted(counters)
        keys = {name: key_of(name) for name in of_ranks}
        return [
            *(Sample(metric=metric, value=value) for metric, value in host.items()),
            *(
                Sample(metric=metric, value=value, rank=keys[name])
                for name, values in of_ranks.items()
                for metric, value in values.items()
            ),
        ]

    async def close(self) -> None:
        """End the child."""
        await self._end()

    async def _ask(self, question: str) -> bytes:
        if self._condemned:
            await self._end()
        child = self._child = self._child or await self._start()
        if child.stdin is None or child.stdout is None:
            raise OSError("it has no pipes")
        child.stdin.write(question.encode() + b"\n")
        await child.stdin.drain()
        try:
            return await child.stdout.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise OSError(str(error)) from error

    async def _start(self) -> asyncio.subprocess.Process:
        words = (self._state_dir, str(_MEMORY_BYTES), str(os.getpid()))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dlroverd_agent.monitors.child", *words),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MOST_BYTES,
            start_new_session=True,
        )

    async def _end(self) -> None:
        """Kill the child and wait a moment; one that is stuck in the kernel is the one until it has ended."""
        child = self._child
        if child is None:
            return
        self._condemned = True
        if child.returncode is None:
            child.send_signal(signal.SIGKILL)
            try:
                async with asyncio.timeout(_KILL_S):
                    await child.wait()
            except TimeoutError:
                raise MonitorError(
                    f"the process that reads the host (pid {child.pid}) is stuck in the kernel, so nothing is read: "
                    f"see `ps -o stat,wchan {child.pid}`"
                ) from None
        self._child, self._condemned = None, False
