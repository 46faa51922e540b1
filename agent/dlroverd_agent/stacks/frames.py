"""Frames as they may be kept and shown: a user chose their names."""

from dlroverd.model.stacks import Frame

MOST_FRAMES, _MOST_TEXT = 64, 160


def frame(function: str, file: str, line: int, *, native: bool = False) -> Frame:
    """Make one, its texts cut and without what a terminal would obey."""
    return Frame(function=text(function), file=_printable(file)[-_MOST_TEXT:], line=line, native=native)


def text(name: str) -> str:
    """Give a name as it may be shown."""
    return _printable(name)[:_MOST_TEXT]


def _printable(name: str) -> str:
    return name if name.isprintable() else "".join(char if char.isprintable() else "?" for char in name)
