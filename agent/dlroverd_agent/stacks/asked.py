"""The stack of a rank's main thread by its own hand, where py-spy may not read it: faulthandler writes it at a signal.

A signal that is not handled ends a process. So it is sent only to one that said in its file that it handles it
(dlroverd_train/_stacks.py), and of which the kernel says so as well, now. Blocking, with a deadline.
"""

import os
import re
import signal
import time
from pathlib import Path

from dlroverd.model.stacks import ThreadStack
from dlroverd_agent.rank_file import RankFile
from dlroverd_agent.stacks.frames import MOST_FRAMES, frame

# The handler runs when the thread is next on a CPU; writing 100 frames takes it a millisecond.
ANSWER_S, _STILL_S = 1.0, 0.05
_MOST_BYTES = 64 * 1024
_SAID = re.compile(rb"dlroverd-stacks (\d{1,10}) (\d{1,3})\n")
_FRAME = re.compile(r'  File "(.*)", line (\d{1,9}) in (.*)$')
_LIBRARIES = re.compile(r".*/(?:site-packages|dist-packages|python3\.\d+)/")


def ask(pid: int, path: str) -> tuple[ThreadStack, ...]:
    """Have the main thread of a process write its stack to its file; nothing if it cannot be asked, or is late."""
    try:
        with RankFile(Path(path)) as file:
            said = _SAID.match(file.read(0, 80))
            if said is None or int(said[1]) != pid:
                return ()
            return _answered(pid, int(said[2]), file)
    except OSError:
        return ()


def _answered(pid: int, number: int, file: RankFile) -> tuple[ThreadStack, ...]:
    descriptor = os.pidfd_open(pid)
    try:
        # The descriptor is of whatever process has the pid from here on.
        if not _handles(pid, number):
            return ()
        before = size = file.size()
        signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)
    until = time.monotonic() + ANSWER_S
    while time.monotonic() < until:
        time.sleep(_STILL_S)
        if before < size == file.size():  # it is written in pieces, and has no end mark
            return parsed(pid, file.read(before, _MOST_BYTES).decode(errors="replace"))
        size = file.size()
    return ()


def _handles(pid: int, number: int) -> bool:
    """Whether a process handles a signal, and its main thread does not hold it back."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    masks = {name: int(mask, 16) for name, mask in re.findall(r"^(Sig\w{3}):\t([0-9a-f]+)$", status, re.MULTILINE)}
    bit = 1 << (number - 1)
    return bool(masks.get("SigCgt", 0) & bit) and not (masks.get("SigBlk", bit) | masks.get("SigIgn", bit)) & bit


def parsed(pid: int, text: str) -> tuple[ThreadStack, ...]:
    """Read what faulthandler wrote, innermost call first; files as py-spy names them, from where Python looks on."""
    found = [match.groups() for line in text.splitlines() if (match := _FRAME.match(line))]
    frames = tuple(frame(function, _short(file), int(line)) for file, line, function in found[:MOST_FRAMES])
    return (ThreadStack(tid=pid, name="MainThread", frames=frames),) if frames else ()


def _short(file: str) -> str:
    if file.startswith("<"):
        return file
    return _LIBRARIES.sub("", file) if _LIBRARIES.match(file) else os.path.basename(file)
