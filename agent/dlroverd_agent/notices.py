"""Tells ranks why and by when they will be stopped, and when to save: in files of its directory, and by a signal.

The first is JSON, `{"reason": text, "by": wall clock in seconds}`; `dlroverd_train.notice()` reads it. The second holds
the step numbers of model/world.py's `Saves`; `dlroverd_train.should_checkpoint()` reads it.
"""

import asyncio
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from dlroverd.model.ids import RankKey
from dlroverd.model.world import Notice, Saves
from dlroverd_agent.core import Stop, Tell
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.launchers.interface import Launcher

# How long a stop waits for the disk to take its reason: a disk that hangs keeps no rank from its end.
_SAVE_S = 1.0

_log = structlog.get_logger()


class Notices:
    """The notices of all ranks of a node. What is told of one rank is told in the order of the calls."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._writing = asyncio.Lock()

    async def tell(self, action: Tell) -> None:
        """Leave a notice, or take it back; then send the job's signal, if there is one."""
        await self._write(action.key, self._launcher.files(action.key).notice, _content(action.notice))
        if action.signal:
            try:
                await self._launcher.send_signal(action.key, signal.Signals[f"SIG{action.signal}"])
            except ValueError as error:
                _log.warning("a rank's notice is not signalled", signal=action.signal, error=str(error))

    async def before(self, stop: Stop) -> None:
        """Leave the reason of a stop, so that who handles TERM can read it."""
        if stop.reason:
            notice = Notice(reason=stop.reason, by=time.time() + stop.evidence_s + stop.grace_s)
            writing = self._write(stop.key, self._launcher.files(stop.key).notice, _content(notice))
            await asyncio.wait({asyncio.create_task(writing)}, timeout=_SAVE_S)

    async def saves(self, key: RankKey, saves: Saves) -> None:
        """Leave at which steps a rank is to save."""
        await self._write(key, self._launcher.files(key).saves, asdict(saves))

    async def _write(self, key: RankKey, path: Path, content: dict[str, Any] | None) -> None:
        async with self._writing:
            try:
                await asyncio.to_thread(_put, path, content)
            except FileNotFoundError:
                pass  # it never came so far as to have a directory
            except OSError as error:
                _log.warning("a rank cannot be told when to save or stop", rank=str(key), error=str(error))


def _put(path: Path, content: dict[str, Any] | None) -> None:
    """Put a file in place whole, readable by the rank's user, or remove it. Blocking."""
    if content is None:
        path.unlink(missing_ok=True)
        return
    user = os.lstat(RankFiles(path.parent).error.parent)  # the one folder of the rank's user; its name is ours
    temporary = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
        if os.geteuid() == 0:
            os.fchown(file.fileno(), user.st_uid, user.st_gid)
        json.dump(content, file)
    temporary.rename(path)


def _content(notice: Notice | None) -> dict[str, Any] | None:
    return {"reason": notice.reason, "by": notice.by} if notice is not None else None
