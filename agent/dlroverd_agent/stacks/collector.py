"""Takes the stacks of ranks in a disposable child with a deadline. Nothing waits for it but who asked."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from pydantic import TypeAdapter, ValidationError

from dlroverd.model.ids import RankKey
from dlroverd.model.stacks import ProcessStack, RankStack
from dlroverd.protocol.messages import StackRequest, Stacks
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.stacks.child import Asked, Seen

# Beyond the looks themselves: Python's start, and py-spy reading a large library on a busy host.
MARGIN_S = 14.0
_MOST_LOOKS, _MOST_APART_S = 10, 10.0
_KILL_S = 1.0
_MOST_BYTES = 4 * 1024**2
_LINE = TypeAdapter(Seen)


class StackCollector:
    """Looks at the ranks of one node. `pids` gives the main processes of those that run, `files` their files."""

    def __init__(
        self,
        node: str,
        pids: Callable[[], Mapping[RankKey, int]],
        files: Callable[[RankKey], RankFiles],
        margin_s: float = MARGIN_S,
    ) -> None:
        """Nothing runs before the first request."""
        self._node = node
        self._pids = pids
        self._files = files
        self._margin_s = margin_s
        self._one = asyncio.Lock()  # a rank is looked at by one at a time

    async def take(self, request: StackRequest) -> Stacks:
        """Give the stacks of the ranks asked for; of one that has none, why."""
        looks = min(max(1, request.looks), _MOST_LOOKS)
        apart_s = min(max(0.0, request.apart_s), _MOST_APART_S)
        async with self._one:
            known = self._pids()
            asked = {key.unit: self._asked(key, known[key]) for key in request.ranks if key in known}
            late_s = looks * apart_s + self._margin_s
            found: dict[str, Seen] = {}
            problem = (
                f"it was not looked at within {late_s:g} s: see if it, or what it waits for, is stuck in the kernel"
            )
            if asked:
                try:
                    async with asyncio.timeout(late_s):
                        await self._ask(asked, looks, apart_s, found)
                    problem = "the process that looks at ranks ended without having looked at it"
                except TimeoutError:
                    pass
                except (OSError, ValueError, ValidationError) as error:
                    problem = f"the process that looks at ranks broke: {error}"
        ended = "it does not run (any more)"
        return Stacks(
            id=request.id,
            ranks=tuple(
                RankStack(
                    key=key,
                    node=self._node,
                    problem="" if key.unit in found else problem if key.unit in asked else ended,
                    processes=_cut(found[key.unit].processes, request.threads) if key.unit in found else (),
                    positions=found[key.unit].positions if key.unit in found else (),
                )
                for key in request.ranks
            ),
        )

    def _asked(self, key: RankKey, pid: int) -> Asked:
        files = self._files(key)
        return Asked(pid=pid, stacks=str(files.stacks), recorder=str(files.recorder))

    async def _ask(
        self,
        asked: Mapping[str, Asked],
        looks: int,
        apart_s: float,
        found: dict[str, Seen],
    ) -> None:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "dlroverd_agent.stacks.child", str(os.getpid())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MOST_BYTES,
            start_new_session=True,
        )
        try:
            if child.stdin is None or child.stdout is None:
                raise OSError("it has no pipes")
            question = {"ranks": {name: asdict(of) for name, of in asked.items()}, "looks": looks, "apart_s": apart_s}
            child.stdin.write(json.dumps(question).encode() + b"\n")
            await child.stdin.drain()
            while len(found) < len(asked) and (line := await child.stdout.readline()):
                seen = _LINE.validate_json(line)
                found[seen.name] = seen
        finally:
            await _end(child)


def _cut(processes: tuple[ProcessStack, ...], threads: int) -> tuple[ProcessStack, ...]:
    return tuple(replace(each, threads=each.threads[:threads]) for each in processes) if threads > 0 else processes


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill the child with what it started. One that is stuck in the kernel is left to itself: it holds nothing."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
        async with asyncio.timeout(_KILL_S):
            await child.wait()
    except (ProcessLookupError, TimeoutError):
        pass
