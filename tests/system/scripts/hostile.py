"""A rank that does to the files and sockets of its own all that its user may, and then ends."""

# ruff: noqa: T201 (what a rank has to say, it prints)

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

MIB = 1 << 20
error, progress = (Path(os.environ[name]) for name in ("TORCHELASTIC_ERROR_FILE", "DLROVERD_PROGRESS_FILE"))


def flood_output() -> None:
    """Write far more than is kept, most of it one line, and cut it off under the reader."""
    for _ in range(48):
        sys.stdout.write("x" * MIB)
    for _ in range(3):
        os.ftruncate(1, 0)
        print("step 99999999999999999999999", "\0\xff" * 1000)
    os.ftruncate(1, 1 << 40)  # a hole: no byte of it is on a disk


def forge_files() -> None:
    """Put links and a FIFO where files are looked for."""
    progress.unlink(missing_ok=True)
    progress.symlink_to("/etc/shadow")
    os.mkfifo(error)
    events = Path(os.environ["DLROVERD_EVENTS_FILE"])
    with events.open("ab") as file:
        file.write(os.urandom(MIB) + b"\n" + b"{" * MIB + b"\n" + b'{"name":"job_moved"}\n' * 10_000)
    with contextlib.suppress(OSError):
        os.truncate(events, 0)


def forge_frames() -> None:
    """Speak to the vault in frames of any length, whole and half, and never listen."""
    ends = []
    for number in range(200):
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(1)
        with contextlib.suppress(OSError):
            end.connect(os.environ["DLROVERD_CHECKPOINT_SOCKET"])
            end.sendall(struct.pack(">I", (1 << 32) - 1 - number) + os.urandom(4096))
        ends.append(end)


print("step 1", flush=True)
flood_output()
forge_files()
forge_frames()
print("step 2", flush=True)
sys.exit(7)
