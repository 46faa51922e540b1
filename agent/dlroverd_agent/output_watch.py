"""Looks after the output of ranks as it grows: notes when it was written, and keeps each file within its limit.

A rank writes into its file directly, so nothing here can hold it up; what it writes beyond the limit is let go at
the head of the file a second later. A full disk is for the rank as on any host: its writes fail with ENOSPC.
"""

import asyncio
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from dlroverd.config.durations import format_size
from dlroverd.model.fault import ExitInfo
from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.output_index import OutputIndex
from dlroverd_agent.rank_file import NoHolesError, RankFile

LOOK_S = 1.0
# Less than this, and the next line of a rank may not fit.
_FULL_BYTES = 64 * 1024
# A disk that is full now says nothing of a rank that ended longer ago.
_JUST_NOW_S = 5.0

_log = structlog.get_logger()


@dataclass(slots=True)
class _Watched:
    files: RankFiles
    index: OutputIndex | None = None


class OutputWatch:
    """The output of all ranks that run on this node, in files under `ranks`."""

    def __init__(
        self, ranks: Path, files: Callable[[RankKey], RankFiles], limit_bytes: int, look_s: float = LOOK_S
    ) -> None:
        """Watch none yet; a rank's file may keep about `limit_bytes`, and is looked at every `look_s`."""
        self._look_s = look_s
        self._disk = ranks
        self._files = files
        self._limit_bytes = limit_bytes
        self._ranks: dict[RankKey, _Watched] = {}
        self._over: set[RankKey] = set()
        self._said = ""

    def watch(self, key: RankKey) -> None:
        """Look after a rank from now on."""
        self._ranks.setdefault(key, _Watched(self._files(key)))

    async def ended(self, key: RankKey, exit_: ExitInfo) -> ExitInfo:
        """Let go of a rank after one more look; its end, with a word on the disk if that may have cut it short."""
        if key in self._ranks:
            self._over.add(key)
        if exit_.code == 0 or time.time() - exit_.exited_at > _JUST_NOW_S:
            return exit_
        full = await asyncio.to_thread(self._full)
        return replace(exit_, output_tail=f"{exit_.output_tail}\n[{full}]".strip()) if full else exit_

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(self._look_s)
            if not self._ranks:
                continue
            over, self._over = self._over, set()
            self._say(await asyncio.to_thread(self._look, tuple(self._ranks.values())))
            for key in over:
                self._ranks.pop(key, None)

    def _look(self, ranks: tuple[_Watched, ...]) -> str:
        """Look once; blocking. Gives what a person should know of, "" if nothing."""
        problem = ""
        for each in ranks:
            try:
                self._look_at(each)
            except FileNotFoundError:
                pass  # it has not begun
            except NoHolesError:
                problem = (
                    f"the file system of {self._disk} cannot let go of the head of a file, so log_limit has no effect "
                    "there: put state_dir on ext4, XFS, Btrfs or tmpfs"
                )
            except OSError as error:
                problem = f"the output of ranks in {self._disk} cannot be looked after: {error}"
        return self._full() or problem

    def _look_at(self, watched: _Watched) -> None:
        found = os.lstat(watched.files.output)
        if not stat.S_ISREG(found.st_mode):
            return  # `logs` says what is wrong with it
        if watched.index is None:
            watched.index = OutputIndex(watched.files.output_index)
        if found.st_size <= watched.index.size:
            return
        try:
            watched.index.note(found.st_size, found.st_mtime)
        finally:  # on a full disk all the more
            beyond = found.st_size - self._limit_bytes
            if beyond > 0:
                with RankFile(watched.files.output, writable=True) as file:
                    file.let_go(beyond)

    def _full(self) -> str:
        disk = os.statvfs(self._disk)
        if not disk.f_blocks or disk.f_bavail * disk.f_frsize >= _FULL_BYTES:
            return ""  # the first: a file system that has no size
        return (
            f"the disk of {self._disk} is full and ranks cannot write their output: make room, or lower log_limit "
            f"({format_size(self._limit_bytes)} for each rank) or log_retention"
        )

    def _say(self, problem: str) -> None:
        """Tell people, once for as long as it lasts."""
        if problem and problem != self._said:
            _log.warning(problem)
        self._said = problem
