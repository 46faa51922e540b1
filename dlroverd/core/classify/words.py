"""Looks in what programs print for texts with `*` for any text (model/globs.py)."""

from collections.abc import Sequence

from dlroverd.model.globs import within


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
