"""Reads what a rank left behind: the error it reported, or printed, and its last words.

All of it was written by the user's program, so nothing here trusts a name, a size or a byte of it. It reads; what
the error means for the job is decided elsewhere.
"""

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from dlroverd.model.fault import ErrorReport, ExitInfo
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.rank_file import RankFile

MISSING_SCRIPT = "MissingScript"

_TAIL_BYTES = 64 * 1024
_OUTPUT_TAIL_BYTES = 2 * 1024
_TEXT_BYTES = 4 * 1024
_MESSAGE_BYTES = 1024
_ERROR_FILE_BYTES = 1024 * 1024
# A traceback is a program's last word if no more lines than this follow it (a long message, the complaints of
# libraries that are torn down); else it was caught, and the program went on.
_LAST_WORD_LINES = 20

_HEADER = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "(.+?)", line (\d+)(, in .*)?')
# A class as Python prints it, with its message. Level names of logging (INFO: ...) are not classes.
_RAISED = re.compile(r"(?![A-Z]+:)([A-Za-z_][\w.<>]*)(?:: (.*)|:?)")
_LIBRARY = re.compile(r"/(?:site|dist)-packages/|/lib(?:64)?/python\d[\d.]*/|^<frozen ")
_SYNTAX_ERRORS = ("SyntaxError", "IndentationError", "TabError")
# What CPython's own start-up says of a script or module that is not there (Modules/main.c, Lib/runpy.py).
_NO_SCRIPT = re.compile(
    r"\S*python\S*: (?:can't open file '(?P<file>.*)': .*|can't find '__main__' module in '(?P<folder>.*)'"
    r"|No module named .*|Error while finding module specification for .*)"
)
# libstdc++'s std::terminate.
_TERMINATE = re.compile(
    r"terminate called after throwing an instance of '(?P<type>[^'\n]*)'(?:\s*\n\s*what\(\):\s*(?P<what>.*))?"
)
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)


@dataclass(frozen=True, slots=True)
class _Found:
    """A traceback in a text. `followed_by` counts lines after the exception's; `whole` if that line has its end."""

    report: ErrorReport
    followed_by: int
    whole: bool


def with_evidence(files: RankFiles, ended: ExitInfo) -> ExitInfo:
    """Add to a rank's end the error it died of, if it said one, and its last lines.

    A rank that was killed may have caught an exception long before: then only its last word counts.
    """
    tail = _read_tail(files.output, _TAIL_BYTES).decode(errors="replace")
    error = None
    if ended.code != 0 and not ended.launch_error:
        error = _reported(files) or _printed(tail, only_last_word=ended.code is None)
    return replace(ended, error=error, output_tail=_last_bytes(tail.rstrip("\n"), _OUTPUT_TAIL_BYTES))


def written_bytes(files: RankFiles) -> int:
    """Count what the rank has written so far: that it stays equal means that it is silent."""
    return _size(files.output) + _size(files.error)


def is_complete(files: RankFiles) -> bool:
    """Tell whether a rank has said why it fails: its error file is there, or its traceback is printed."""
    return _reported(files) is not None or traceback_complete(_read_tail(files.output, _TAIL_BYTES))


def traceback_complete(tail: bytes) -> bool:
    """Tell whether output ends in a whole Python traceback, its exception's line included."""
    found = _last_traceback(tail.decode(errors="replace"))
    return found is not None and found.whole and found.followed_by <= _LAST_WORD_LINES


def _printed(tail: str, *, only_last_word: bool) -> ErrorReport | None:
    found = _last_traceback(tail)
    if found is not None:
        return None if only_last_word and found.followed_by > _LAST_WORD_LINES else found.report
    last_line = tail.rstrip().rpartition("\n")[2]
    missing = _NO_SCRIPT.fullmatch(last_line)
    if missing is None:
        return _terminated(tail)
    return ErrorReport(
        source="traceback",
        type=MISSING_SCRIPT,
        message=_first_bytes(last_line),
        file=missing["file"] or missing["folder"] or "",
        text=_last_bytes(last_line, _TEXT_BYTES),
    )


def _terminated(tail: str) -> ErrorReport | None:
    """Read what the C++ library prints of an exception that nobody caught, with which it ends the program."""
    every = list(_TERMINATE.finditer(tail))
    if not every:
        return None
    found = every[-1]
    return ErrorReport(
        source="terminate",
        type=_first_bytes(found["type"]),
        message=_first_bytes(found["what"] or ""),
        text=_first_bytes(found[0]),
    )


def _reported(files: RankFiles) -> ErrorReport | None:
    """Read torchelastic's error file (torch/distributed/elastic/multiprocessing/errors/error_handler.py).

    Its message is a text, or under @record `{"message": "Type: text", "extraInfo": {"py_callstack": ...}}`.
    None if it is not there, or is (not yet) that.
    """
    try:
        message = json.loads(_read_tail(files.error, _ERROR_FILE_BYTES))["message"]
        callstack = ""
        if isinstance(message, dict):
            callstack = str(message.get("extraInfo", {}).get("py_callstack", ""))
            message = message["message"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    # JSON may carry half of a surrogate pair, which no wire or log takes.
    message, callstack = (str(text).encode(errors="replace").decode() for text in (message, callstack))
    found = _last_traceback(callstack)
    if found is not None:
        return replace(found.report, source="error_file")
    kind, colon, rest = message.partition(": ")
    return ErrorReport(
        source="error_file",
        type=_first_bytes(kind) if colon else "",
        message=_first_bytes(rest if colon else message),
        text=_last_bytes(callstack or message, _TEXT_BYTES),
    )


def _last_traceback(text: str) -> _Found | None:
    """Find the last traceback: of a chain, that is the one that ended the program."""
    lines = text.split("\n")
    start, prefix = _find_start(lines)
    if start < 0:
        return None
    stripped = [line.rstrip("\r").removeprefix(prefix) for line in lines]
    block, raised_from = stripped[start:], _raised_from(stripped, start)
    frames: list[tuple[str, int]] = []
    after = 0
    for index, line in enumerate(block):
        frame = _FRAME.fullmatch(line)
        if frame is not None:
            frames.append((frame[1], int(frame[2]) if len(frame[2]) < 10 else 0))
            after = index + 1
    # Lines of other threads may stand between: the exception is the first that looks like one after the last frame.
    for index in range(after, len(block)):
        raised = _RAISED.fullmatch(block[index])
        if raised is not None and frames:
            break
    else:
        return None
    kind = raised[1]
    file, line_number = _place(kind, frames)
    report = ErrorReport(
        source="traceback",
        type=_first_bytes(kind),
        message=_first_bytes(raised[2] or ""),
        file=_first_bytes(file),
        line=line_number,
        text=_last_bytes("\n".join((*raised_from, *block[: index + 1 + _LAST_WORD_LINES])).strip("\n"), _TEXT_BYTES),
    )
    followed_by = sum(1 for line in block[index + 1 :] if line.strip())
    return _Found(report, followed_by, whole=index + 1 < len(block))


def _raised_from(lines: list[str], start: int) -> list[str]:
    """Give what the exceptions said that the traceback at `start` was raised from, without their frames."""
    said: list[str] = []
    while True:
        before = next((index for index in range(start - 1, -1, -1) if lines[index].strip()), -1)
        if before < 0 or lines[before] not in _CHAINED:
            return said
        start = next((index for index in range(before - 1, -1, -1) if lines[index] == _HEADER), -1)
        if start < 0:
            return said
        said[:0] = [line for line in lines[start + 1 : before + 1] if line and not line[0].isspace()]


def _find_start(lines: list[str]) -> tuple[int, str]:
    """Find where the last traceback begins, and what stands before each of its lines; -1 if there is none.

    torch puts `[rank0]: ` before each line, an exception group `  | `; a progress bar only before the first.
    A SyntaxError of the script itself has no header, only the place.
    """
    for index in range(len(lines) - 1, -1, -1):
        before, header, rest = lines[index].rpartition(_HEADER)
        if header and not rest.strip():
            prefix = before.removesuffix("Exception Group ").replace("  + ", "  | ")
            following = lines[index + 1] if index + 1 < len(lines) else ""
            return index, prefix if following.startswith(prefix) else ""
    for index in range(len(lines) - 1, -1, -1):
        frame = _FRAME.fullmatch(lines[index].rstrip("\r"))
        if frame is not None and frame[3] is None:
            return index, ""
    return -1, ""


def _place(kind: str, frames: list[tuple[str, int]]) -> tuple[str, int]:
    """Pick the innermost frame of the user's own code; what cannot be parsed is itself the place."""
    if kind not in _SYNTAX_ERRORS:
        for file, line in reversed(frames):
            if not _LIBRARY.search(file):
                return file, line
    return frames[-1]


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def _read_tail(path: Path, limit: int) -> bytes:
    """Read the last bytes of a rank's file, b"" if it is not a plain file of its own that we can read."""
    try:
        file = RankFile(path)
    except OSError:
        return b""
    try:
        return file.read(max(0, file.size() - limit), limit)
    except OSError:
        return b""
    finally:
        file.close()


def _first_bytes(text: str) -> str:
    return text.encode()[:_MESSAGE_BYTES].decode(errors="ignore")


def _last_bytes(text: str, limit: int) -> str:
    return text.encode()[-limit:].decode(errors="ignore")
