"""Ranks' output on stdout: whole lines, each behind the rank it is of."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dlroverd.cli.output import notice

if TYPE_CHECKING:
    from dlroverd.model.view import LogChunk

_Stream = tuple[str, int, int, int]


class Prefix:
    """What stands before each line: what tells its rank from the others that are shown, nothing for a single one."""

    def __init__(self, shown: Iterable[tuple[str, int, int]]) -> None:
        """Take the ranks that are shown, as (role, gang, rank)."""
        ranks = list(shown)
        roles = {role for role, _, _ in ranks}
        gangs = {(role, gang) for role, gang, _ in ranks}
        self._of_many = len(ranks) > 1
        self._with_role = len(roles) > 1
        self._with_gang = len(gangs) > len(roles)

    def __call__(self, chunk: "LogChunk") -> bytes:
        """Give the prefix of a chunk's lines: `[rank1] `, `[trainer gang0 rank1] `."""
        if not self._of_many:
            return b""
        role = f"{chunk.role} " if self._with_role else ""
        gang = f"gang{chunk.gang} " if self._with_gang else ""
        return f"[{role}{gang}rank{chunk.rank}] ".encode()


NO_PREFIX = Prefix(())


class Lines:
    """Makes whole lines of chunks, so that ranks do not mix within one; the last may lack its end."""

    def __init__(self, on_lines: Callable[["LogChunk", list[bytes]], None]) -> None:
        """Hand the lines that each chunk completes to `on_lines`, if any."""
        self._on_lines = on_lines
        self._begun: dict[_Stream, bytes] = {}

    def __call__(self, chunk: "LogChunk") -> None:
        """Take the next chunk of any rank."""
        key = (chunk.role, chunk.gang, chunk.round, chunk.rank)
        *lines, rest = (self._begun.pop(key, b"") + chunk.data).split(b"\n")
        if chunk.eof and rest:
            lines.append(rest)
        elif rest:
            self._begun[key] = rest
        if lines:
            self._on_lines(chunk, lines)


def printer(prefix: Prefix) -> Callable[["LogChunk"], None]:
    """Make what writes chunks to stdout as they come, whole lines behind their prefix."""
    out = sys.stdout.buffer

    def write(chunk: "LogChunk", lines: list[bytes]) -> None:
        start = prefix(chunk)
        out.write(b"".join(start + line + b"\n" for line in lines))
        out.flush()

    whole_lines = Lines(write)

    def take(chunk: "LogChunk") -> None:
        if chunk.gap_bytes:
            notice(f"{chunk.gap_bytes} bytes of the output of rank {chunk.rank} are no longer kept")
        whole_lines(chunk)

    return take
