"""What a rank has imported, as it says itself. A rank's user may have written anything there."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlroverd_agent.rank_file import RankFile

_MOST_BYTES = 1024 * 1024
_LINE_BYTES = 256
# Options of Python's by which nothing but a file or a module is named.
_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


class UnfitError(Exception):
    """No spare can be made for a rank; the message says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """The modules that a rank has imported, in order, the CPU seconds it had used by then, and its script's folder."""

    names: tuple[str, ...]
    cpu_s: float
    home: str


def learn(file: Path, pid: int, argv: Sequence[str], cwd: str) -> Learnt | None:
    """Read what the rank with that main process and command line has imported; None: nothing is known yet. Blocking.

    UnfitError: its command line is not Python's alone, so that to begin it means to run something else first.
    """
    try:
        with RankFile(file) as page:
            texts = page.read(0, _MOST_BYTES).decode(errors="surrogateescape").split("\0")[:-1]
    except OSError:
        return None
    try:
        words = int(texts[1])
        command, rest = texts[2 : 2 + words], texts[2 + words :]
        times = [float(text[1:]) for text in rest if text.startswith("=")]
        if int(texts[0]) != pid:
            raise UnfitError("Python is not its main process")
    except (ValueError, IndexError):
        return None
    if not _is_python(command, argv):
        raise UnfitError(f"{argv[0]} is not Python, nor a script that names it in its first line")
    names = tuple(text for text in rest if not text.startswith("="))
    return Learnt(names=names, cpu_s=times[-1] if times else 0.0, home=_home(command, cwd))


def _is_python(command: Sequence[str], argv: Sequence[str]) -> bool:
    """Tell whether executing `argv` is to run Python at once, whose own words are `command`."""
    if tuple(command) == tuple(argv):
        return True
    before = command[: len(command) - len(argv)]
    if not before or tuple(command[len(before) :]) != tuple(argv):
        return False
    try:
        with open(argv[0], "rb") as script:
            line = script.readline(_LINE_BYTES).decode(errors="surrogateescape")
    except OSError:
        return False
    return line.startswith("#!") and line.removeprefix("#!").split(maxsplit=1) == [word.strip() for word in before]


def _home(command: Sequence[str], cwd: str) -> str:
    """Find the folder that Python puts before all others for a command line: the script's; else the working one."""
    words = iter(command[1:])
    for word in words:
        if word in _WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return os.path.dirname(os.path.realpath(os.path.join(cwd, word)))
        elif word == "-" or word.lstrip("-")[:1] in ("m", "c"):
            break
    return cwd
