"""Drive `forgetful.c`: run a process that kills itself at an exact write, then take back what was not synced.

    library = build(tmp_path)
    process = Popen(..., env={**os.environ, **environment(library, directory, journal, kill_at=17)})
    process.wait()
    forget(directory, journal, seed)        # a power cut; without it, a plain SIGKILL

`directory` and `journal` are absolute, resolved, made before, on one file system, neither inside the other.
Lives of the process may follow one another on one journal, and be killed from outside; each counts anew.

The model: a file's pages (4 KiB) written since its last sync may each be as written or as at any time since
that sync; so may its size. Names made, removed and moved survive in order, up to some point at or after the
last sync of a directory. A file `*-shm` is SQLite's mapped memory, never synced: anything may be in it.
"""

import os
import random
import shutil
import struct
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PAGE = 4096
Moment = Literal["before", "after"]
_HEADER = struct.Struct("=IIQqqq")  # struct header in forgetful.c


@dataclass(frozen=True)
class Point:
    """The `number`-th change under the directory in one life of the process."""

    number: int
    call: str
    path: str


@dataclass(frozen=True)
class _Entry:
    kind: str
    inode: int
    offset: int
    span: int
    size: int
    payload: bytes


@dataclass
class _Unsynced:
    """What a file was at the times since its last sync: older contents of its pages, and its sizes."""

    pages: dict[int, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    sizes: list[int] = field(default_factory=list)


def build(tmp_path: Path) -> Path:
    """Compile the library into `tmp_path`; give its path."""
    library = tmp_path / "forgetful.so"
    source = Path(__file__).with_name("forgetful.c")
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-pthread"], check=True
    )
    return library


def environment(
    library: Path,
    directory: Path,
    journal: Path,
    *,
    kill_at: int = 0,
    when: Moment = "before",
) -> dict[str, str]:
    """Give the variables that put a process on the disk; `kill_at` 0 lets it live."""
    return {
        "LD_PRELOAD": str(library),
        "FORGETFUL_DIRECTORY": str(directory),
        "FORGETFUL_JOURNAL": str(journal),
        "FORGETFUL_KILL_AT": str(kill_at),
        "FORGETFUL_WHEN": when,
    }


def points(journal: Path) -> list[Point]:
    """Give the points that were reached since the last `forget`, the one it died at included."""
    return [
        Point(entry.offset, *entry.payload.decode().split(" ", 1)) for entry in _entries(journal) if entry.kind == "P"
    ]


def forget(directory: Path, journal: Path, seed: int) -> list[str]:
    """Cut the power: take back some of what was not synced, chosen by `seed`; give what was taken back."""
    rng = random.Random(seed)
    unsynced: dict[int, _Unsynced] = defaultdict(_Unsynced)
    names: list[_Entry] = []
    for entry in _entries(journal):
        if entry.kind == "W":
            _note_old_pages(unsynced[entry.inode], entry)
        elif entry.kind == "S":
            unsynced.pop(entry.inode, None)
        elif entry.kind == "D":
            names.clear()
        elif entry.kind in "CUR":
            names.append(entry)
    lost: list[str] = []
    for path in [*directory.rglob("*"), *journal.glob("kept-*")]:
        if path.is_file() and path.name.endswith("-shm"):
            path.write_bytes(rng.randbytes(path.stat().st_size))
        elif path.is_file() and path.stat().st_ino in unsynced:
            lost += _forget_pages(path, unsynced.pop(path.stat().st_ino), rng)
    surviving = rng.choice([0, len(names), rng.randint(0, len(names))])
    for entry in reversed(names[surviving:]):
        lost += _take_back_name(entry, journal)
    shutil.rmtree(journal)
    journal.mkdir()
    return lost


def _entries(journal: Path) -> Iterator[_Entry]:
    data = (journal / "journal").read_bytes() if (journal / "journal").exists() else b""
    place = 0
    while place + _HEADER.size <= len(data):
        kind, length, inode, offset, span, size = _HEADER.unpack_from(data, place)
        place += _HEADER.size
        if place + length > len(data):  # killed from outside while noting; the change was not made
            return
        yield _Entry(chr(kind), inode, offset, span, size, data[place : place + length])
        place += length


def _note_old_pages(unsynced: _Unsynced, entry: _Entry) -> None:
    unsynced.sizes.append(entry.size)
    for offset in range(0, entry.span, PAGE):
        unsynced.pages[entry.offset + offset].append(entry.payload[offset : offset + PAGE])


def _forget_pages(path: Path, unsynced: _Unsynced, rng: random.Random) -> list[str]:
    lost = []
    with path.open("r+b") as file:
        now = os.fstat(file.fileno()).st_size
        size = rng.choice([now, now, unsynced.sizes[0], rng.choice(unsynced.sizes)])
        share = rng.choice([0.0, 0.5, 0.9, 1.0])
        file.truncate(size)
        for offset, versions in sorted(unsynced.pages.items()):
            # What was cut off has no content of now; if the cut is taken back, it has one of then.
            is_cut = size > now and offset + PAGE > now
            if offset < size and (is_cut or rng.random() < share):
                file.seek(offset)
                file.write(rng.choice([versions[0], rng.choice(versions)]).ljust(PAGE, b"\0"))
                lost.append(f"page {offset // PAGE} of {path.name}")
        file.truncate(size)
    if size != now:
        lost.append(f"size of {path.name}: {now} is {size}")
    return lost


def _take_back_name(entry: _Entry, journal: Path) -> list[str]:
    """Undo one change of a name, unless the process died before it made it."""
    source, _, target = entry.payload.decode().partition("\n")
    kept = journal / f"kept-{entry.offset}"
    if entry.kind == "C":
        if not _is(source, entry.inode):
            return []
        os.unlink(source)
        return [f"creation of {source}"]
    if entry.kind == "U":
        if not entry.offset or os.path.exists(source):  # there was none to remove, or it was not done
            return []
        os.link(kept, source)
        return [f"removal of {source}"]
    if not _is(target, entry.inode):
        return []
    os.rename(target, source)
    if entry.offset:
        os.link(kept, target)
    return [f"renaming of {source}"]


def _is(path: str, inode: int) -> bool:
    return os.path.exists(path) and os.stat(path).st_ino == inode
