"""Reads what the host's kernel said in a window, from its journal: in a child with a deadline, as a disk may hang."""

import asyncio
import json
import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from dlroverd.model.kernel_log import KernelLine, KernelLog, KernelWindow

DEADLINE_S = 8.0
_KILL_S = 1.0
_MOST_LINES = 200
_MOST_OF_A_LINE = 500
# Where journald keeps its files: those that outlive a boot, and those that do not.
_JOURNALS = ("var/log/journal", "run/log/journal")


async def kernel_log(
    node: str,
    window: KernelWindow,
    *,
    root: Path = Path("/"),
    program: str = "journalctl",
    deadline_s: float = DEADLINE_S,
) -> KernelLog:
    """Read a window. What cannot be read is said, never raised. `root` and `program` are others in tests."""
    problem = await asyncio.to_thread(_unreadable, node, root)
    if problem:
        return KernelLog(node=node, window=window, problem=problem)
    # Not -k, which means this boot alone.
    command = (
        *(program, "_TRANSPORT=kernel", "--output=json", "--no-pager", "--quiet", f"--lines={_MOST_LINES + 1}"),
        *(f"--since=@{math.floor(window.since)}", f"--until=@{math.ceil(window.until)}"),
    )
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        problem = f"node {node} has no {program} to read its kernel's lines with ({error.strerror})"
        return KernelLog(node=node, window=window, problem=problem)
    try:
        async with asyncio.timeout(deadline_s):
            said, complaint = await child.communicate()
    except TimeoutError:
        problem = f"node {node} could not read its journal within {deadline_s:g} s: see whether its disk hangs"
        return KernelLog(node=node, window=window, problem=problem)
    finally:
        await _end(child)
    if child.returncode != 0:
        why = complaint.decode(errors="replace").strip().rpartition("\n")[2][:_MOST_OF_A_LINE]
        problem = f"node {node} could not read its journal: {why or f'{program} ended with {child.returncode}'}"
        return KernelLog(node=node, window=window, problem=problem)
    lines = tuple(parsed(said.decode(errors="replace")))
    return KernelLog(node=node, window=window, lines=lines[-_MOST_LINES:], cut=len(lines) > _MOST_LINES)


def parsed(text: str) -> Iterator[KernelLine]:
    """Read journalctl's JSON, an entry a line; what is none is left out, and a message need not be text."""
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            at = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            message = entry["MESSAGE"]
            # Bytes that are no UTF-8 come as a list of numbers.
            said = bytes(message).decode(errors="replace") if isinstance(message, list) else str(message)
            yield KernelLine(at=at, priority=int(entry.get("PRIORITY", 6)), text=said[:_MOST_OF_A_LINE])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def _unreadable(node: str, root: Path) -> str:
    """Say why the journal cannot be read, "" if it can: journalctl itself tells both cases by silence."""
    files = [file for folder in _JOURNALS for file in (root / folder).glob("*/system*.journal")]
    if not files:
        return f"node {node} keeps no journal, so what its kernel said is not known; see `dmesg` there"
    if not any(os.access(file, os.R_OK) for file in files):
        return f"the agent of node {node} may not read the journal: run it as root, or in group systemd-journal"
    return ""


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is not None:
        return
    os.killpg(child.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(_KILL_S):
            await child.communicate()
    except TimeoutError:
        pass  # stuck in the kernel: it does not even die of KILL
