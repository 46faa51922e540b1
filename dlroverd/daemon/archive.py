"""A backup as one file: a tar whose first member, the manifest, says what every other one must be.

So that a copy which was cut short, or went bad on its disk, is noticed before anything is written from it.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter, ValidationError

MANIFEST = "manifest.json"
VERSION = 1
_CHUNK_BYTES = 1 << 20


class BackupError(Exception):
    """A backup cannot be made or used; the message is one sentence with the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a backup: its name in the tar, and of one that is not the log where it belongs and whose it is.

    `in_state`: `path` is relative to the state directory, which may be another one when it is restored.
    """

    name: str
    size: int
    sha256: str
    path: str = ""
    in_state: bool = False
    mode: int = 0o600
    user: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds: the log `log_id` up to `position` as it was at `taken_at`, and the files beside it."""

    version: int
    dlroverd: str
    taken_at: float
    log_id: str
    position: int
    state_dir: str
    parts: tuple[Part, ...]


_MANIFEST = TypeAdapter(Manifest)


def digest(path: Path) -> tuple[int, str]:
    """Give a file's size and the SHA-256 of its content."""
    size, summed = 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            size += len(chunk)
            summed.update(chunk)
    return size, summed.hexdigest()


def write(target: Path, manifest: Manifest, sources: Sequence[Path]) -> None:
    """Write a backup whole or not at all, for its owner alone; `sources` are the manifest's parts, in order."""
    new = target.with_name(f"{target.name}.new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            text = json.dumps(asdict(manifest), indent=1).encode()
            tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
            for part, source in zip(manifest.parts, sources, strict=True):
                with source.open("rb") as content:
                    tar.addfile(_member(part.name, part.size), content)
        file.flush()
        os.fsync(file.fileno())
    new.rename(target)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


class Archive:
    """A backup that is open for reading."""

    def __init__(self, path: Path, tar: tarfile.TarFile) -> None:
        self._path = path
        self._tar = tar
        self.manifest = self._read_manifest()

    def _read_manifest(self) -> Manifest:
        first = self._tar.next()
        if first is None or first.name != MANIFEST:
            raise BackupError(f"{self._path} is no backup of dlroverd; name a file that `state backup` made.")
        plain: Any = json.loads(self._content(first).read())
        if isinstance(plain, dict) and plain.get("version", 0) > VERSION:
            raise BackupError(f"{self._path} is of a newer dlroverd: restore it with version {plain.get('dlroverd')}.")
        return _MANIFEST.validate_python(plain)

    def _content(self, member: tarfile.TarInfo) -> IO[bytes]:
        content = self._tar.extractfile(member)
        if content is None:
            raise BackupError(f"{self._path} is no backup of dlroverd: {member.name} in it is no file.")
        return content

    def verify(self) -> None:
        """See that every part is whole and as the manifest has it."""
        for part in self.manifest.parts:
            if part.in_state and (Path(part.path).is_absolute() or ".." in Path(part.path).parts):
                raise BackupError(f"{self._path} is damaged: {part.path} in it lies outside of the state directory.")
            summed = hashlib.sha256()
            for chunk in self.chunks(part):
                summed.update(chunk)
            if summed.hexdigest() != part.sha256:
                raise BackupError(
                    f"{self._path} is damaged: {part.path or part.name} in it is not what was written. Nothing was "
                    "changed; use another backup."
                )

    def chunks(self, part: Part) -> Iterator[bytes]:
        """Give the content of a part."""
        content = self._content(self._tar.getmember(part.name))
        while chunk := content.read(_CHUNK_BYTES):
            yield chunk

    def content(self, part: Part) -> bytes:
        """Give the content of a small part at once."""
        return b"".join(self.chunks(part))


@contextmanager
def reading(path: Path) -> Iterator[Archive]:
    """Open a backup; BackupError, in one sentence, for whatever is wrong with the file."""
    try:
        with tarfile.open(path, "r:") as tar:
            yield Archive(path, tar)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise BackupError(
            f"{path} is not whole, or no backup at all: it was cut short as it was written or copied ({error}). "
            "Nothing was changed; copy it again, or use another one."
        ) from error
    except (ValueError, ValidationError) as error:
        raise BackupError(f"{path} is damaged: its manifest cannot be read. Use another backup.") from error
