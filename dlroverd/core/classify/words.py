"""Texts with `*` for any text, looked for in what programs print.

No regular expressions: one of a user's could take hours, and dozens of ours are tried on each of thousands of ranks.
"""

from collections.abc import Iterable, Sequence


def within(parts: Iterable[str], line: str) -> bool:
    """Whether `parts`, a text split at its `*`, stand one after another in `line`."""
    return after(parts, line, 0, len(line)) is not None


def after(parts: Iterable[str], text: str, at: int, end: int) -> int | None:
    """Find `parts` one after another from `at` on, and say where the last ends; None if one is not there."""
    for part in parts:
        found = text.find(part, at, end)
        if found < 0:
            return None
        at = found + len(part)
    return at


def line_with(patterns: Sequence[Sequence[str]], low: str, text: str) -> str | None:
    """Give a line of `text` in which one of `patterns` stands, the first that does; None if none does.

    `low` is `text` in lower case, as patterns are.
    """
    for parts in patterns:
        for part in parts:
            if part not in low:
                break
        else:
            for line in text.splitlines():
                if within(parts, line.lower()):
                    return line.strip()
    return None
