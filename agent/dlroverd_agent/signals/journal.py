"""The kernel's log, through the host's journal: journalctl follows it, in a process of its own.

That it is alive is not taken from its silence: now and then another call, with a deadline, looks for the newest line,
and if that does not come, what follows is killed and begun anew where it was.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dlroverd_agent.launchers.files import boot_id

ANSWER_S = 10.0
LOOK_S = 60.0
_KILL_S = 1.0
_MOST_BYTES = 1024**2


class JournalError(Exception):
    """The kernel's log cannot be read; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the kernel's log, and when the journal got it (wall clock, seconds)."""

    text: str
    at: float
    cursor: str


class Journal:
    """Reads the kernel's log of one boot. `options` are journalctl's, such as --directory."""

    def __init__(
        self, options: Sequence[str] = (), boot: str = "", answer_s: float = ANSWER_S, look_s: float = LOOK_S
    ) -> None:
        """Nothing runs before `follow`. `boot` is this one if it is left out."""
        self._what = [*options, "_TRANSPORT=kernel", f"_BOOT_ID={(boot or boot_id()).replace('-', '')}"]
        self._answer_s = answer_s
        self._look_s = look_s

    async def follow(self, cursor: str) -> AsyncGenerator[Line, None]:
        """Give each line after that at `cursor` ("": all of this boot), for ever. JournalError if that ends."""
        where = [f"--after-cursor={cursor}"] if cursor else []
        program = ["journalctl", "--follow", "--lines=all", *_FORM, *where, *self._what]
        child = await _start(sys.executable, "-P", "-m", "dlroverd_agent.signals.follow", str(os.getpid()), *program)
        overdue = False
        try:
            while True:
                try:
                    async with asyncio.timeout(self._answer_s if overdue else self._look_s):
                        line = await _next(child)
                except TimeoutError:
                    if overdue:
                        raise JournalError(
                            "journalctl does not follow the kernel's log any more; it is started anew"
                        ) from None
                    newest = await self._newest()
                    overdue = newest is not None and newest.cursor != cursor
                    continue
                cursor, overdue = line.cursor, False
                yield line
        finally:
            await _end(child)

    async def check(self) -> None:
        """See whether the log can be read. JournalError if it cannot."""
        if await self._newest() is None:  # each boot begins with lines of it
            raise _unreadable("the journal has nothing of it since the boot")

    async def _newest(self) -> Line | None:
        """Look for the newest line; None if there is none. JournalError if the log cannot be read."""
        child = await _start("journalctl", "--lines=1", *_FORM, *self._what)
        try:
            async with asyncio.timeout(self._answer_s):
                said, wrong = await child.communicate()
        except TimeoutError:
            raise JournalError(
                f"journalctl has not answered within {self._answer_s:g} s: see `systemctl status systemd-journald`"
            ) from None
        finally:
            await _end(child)
        sentence = wrong.decode(errors="replace").strip().partition("\n")[0].rstrip(".")
        if child.returncode:
            raise _unreadable(sentence or f"journalctl ended with {child.returncode}")
        lines = [line for raw in said.splitlines() if (line := _line(raw)) is not None]
        return lines[-1] if lines else None


_FORM = ("--quiet", "--no-pager", "--output=json", "--output-fields=MESSAGE,SYSLOG_IDENTIFIER")


def _unreadable(why: str) -> JournalError:
    return JournalError(
        f"the kernel's log cannot be read ({why}): have journald keep it, and the agent run as root or in the group "
        "systemd-journal"
    )


async def _start(*program: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_MOST_BYTES,
            start_new_session=True,
        )
    except OSError as error:
        raise JournalError(f"the kernel's log cannot be read: journalctl cannot be run ({error.strerror})") from error


async def _next(child: asyncio.subprocess.Process) -> Line:
    """Wait for the next line that is one."""
    if child.stdout is None:
        raise JournalError("journalctl has no output")
    while True:
        try:
            raw = await child.stdout.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            raise JournalError("journalctl, which follows the kernel's log, has ended; it is started anew") from None
        except asyncio.LimitOverrunError:
            await child.stdout.read(_MOST_BYTES)
            continue
        line = _line(raw)
        if line is not None:
            return line


def _line(raw: bytes) -> Line | None:
    """Read what journalctl prints of one line; a text that is not Unicode comes as a list of its bytes."""
    try:
        said = json.loads(raw)
        text = said.get("MESSAGE")
        if isinstance(text, list):
            text = bytes(text).decode(errors="replace")
        # journald takes what was written to /dev/kmsg for "program: text", and keeps the two apart.
        who = said.get("SYSLOG_IDENTIFIER", "kernel")
        text = f"{text or ''}" if who == "kernel" else f"{who}: {text or ''}"
        return Line(text=text, at=int(said["__REALTIME_TIMESTAMP"]) / 1e6, cursor=str(said["__CURSOR"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


async def _end(child: asyncio.subprocess.Process) -> None:
    """Kill it, and wait a moment; one that is stuck in the kernel is left to that."""
    if child.returncode is None:
        child.send_signal(signal.SIGKILL)
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILL_S):
                await child.wait()
