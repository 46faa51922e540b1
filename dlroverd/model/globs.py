"""Texts with `*` for any text.

No regular expressions: one of a user's could take hours, and dozens of ours are tried on each of thousands of ranks.
"""

from collections.abc import Iterable


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


def whole(pattern: str, text: str) -> bool:
    """Whether `text` is `pattern`, whose `*` are any text."""
    first, *others = pattern.split("*")
    if not others:
        return text == pattern
    *middle, last = others
    end = len(text) - len(last)
    at = after(middle, text, len(first), end)
    return text.startswith(first) and text.endswith(last) and at is not None and at <= end
