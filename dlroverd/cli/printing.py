"""Ranks' output on stdout: whole lines, each behind the rank it is of."""

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from dlroverd.cli import output

if TYPE_CHECKING:
    from dlroverd.model.view import LogChunk

_Stream = tuple[str, int, int, int]


class Prefix:
    """What stands before each line: what tells its rank from the others that are shown, nothing for a single one."""

    def __init__(
        self, shown: Iterable[tuple[str, int, int]], *, with_node: bool = False, with_round: bool = False
    ) -> None:
        """Take the ranks that are shown, as (role, gang, rank); if there are several, their nodes as well if asked."""
        ranks = list(shown)
        roles = {role for role, _, _ in ranks}
        gangs = {(role, gang) for role, gang, _ in ranks}
        self._of_many = len(ranks) > 1
        self._with_node = self._of_many and with_node
        self._with_role = len(roles) > 1
        self._with_gang = len(gangs) > len(roles)
        self._with_round = with_round

    def __call__(self, chunk: "LogChunk") -> bytes:
        """Give the prefix of a chunk's lines: `[rank1] `, `[n2 rank1] `, `[round3 n2 trainer gang0 rank1] `."""
        parts = (
            (self._with_round, f"round{chunk.round}"),
            (self._with_node, chunk.node),
            (self._with_role, chunk.role),
            (self._with_gang, f"gang{chunk.gang}"),
            (self._of_many, f"rank{chunk.rank}"),
        )
        shown = " ".join(part for is_shown, part in parts if is_shown)
        return f"[{shown}] ".encode() if shown else b""


NO_PREFIX = Prefix(())


class Lines:
    """Makes whole lines of chunks, so that ranks do not mix within one; the last may lack its end.

    What is missing between two chunks of a rank is a line of its own.
    """

    def __init__(self, on_lines: Callable[["LogChunk", list[bytes]], None]) -> None:
        """Hand the lines that each chunk completes to `on_lines`, if any."""
        self._on_lines = on_lines
        self._begun: dict[_Stream, bytes] = {}

    def __call__(self, chunk: "LogChunk") -> None:
        """Take the next chunk of any rank."""
        key = (chunk.role, chunk.gang, chunk.round, chunk.rank)
        begun = self._begun.pop(key, b"")
        before: list[bytes] = []
        if chunk.gap_bytes:
            before, begun = [*([begun] if begun else []), f"[{output.size(chunk.gap_bytes)} not kept]".encode()], b""
        *lines, rest = (begun + chunk.data).split(b"\n")
        if chunk.eof and rest:
            lines.append(rest)
        elif rest:
            self._begun[key] = rest
        if before or lines:
            self._on_lines(chunk, before + lines)


def printer(prefix: Prefix) -> Callable[["LogChunk"], None]:
    """Make what writes chunks to stdout as they come, whole lines behind their prefix."""
    out = sys.stdout.buffer

    def write(chunk: "LogChunk", lines: list[bytes]) -> None:
        start = prefix(chunk)
        out.write(b"".join(start + line + b"\n" for line in lines))
        out.flush()

    return Lines(write)
