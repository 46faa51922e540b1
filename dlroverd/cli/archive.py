"""A .tar.gz that appears whole under its name, readable by its owner alone, or not at all."""

import contextlib
import io
import os
import secrets
import tarfile
import time
from typing import Self

from dlroverd.cli.endings import CommandError


class Archive:
    """Writes files below one folder of an archive; `close` gives it its name."""

    def __init__(self, path: str, folder: str, *, force: bool) -> None:
        """Begin it beside `path`; CommandError if that is there and may not be replaced, or cannot be written."""
        self.path = path
        self.files: list[str] = []
        self._folder = folder
        self._force = force
        if not force and os.path.lexists(path):
            raise CommandError(f"{path} is there already: name another file with -o, or add --force to replace it.")
        if os.path.isdir(path):
            raise CommandError(f"{path} is a folder: name a file in it with -o.")
        self._part = os.path.join(
            os.path.dirname(path) or ".", f".{os.path.basename(path)}.{secrets.token_hex(4)}.part"
        )
        try:
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise CommandError(f"{path} cannot be written ({error.strerror}): name another file with -o.") from None
        self._file = os.fdopen(descriptor, "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w:gz")  # noqa: SIM115 - closed by `close` or `__exit__`

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind that was not closed."""
        with contextlib.suppress(OSError):  # the disk is full: what could not be written is thrown away
            self._tar.close()
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._part)

    def add(self, name: str, text: str) -> None:
        """Add a file."""
        content = text.encode(errors="replace")
        entry = tarfile.TarInfo(f"{self._folder}/{name}")
        entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
        try:
            self._tar.addfile(entry, io.BytesIO(content))
        except OSError as error:
            raise self._failed(error) from None
        self.files.append(name)

    def close(self) -> int:
        """Finish it, give it its name and say its size in bytes."""
        try:
            self._tar.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            size_bytes = os.fstat(self._file.fileno()).st_size
            self._file.close()
            if self._force:
                os.replace(self._part, self.path)
            else:
                os.link(self._part, self.path)  # which fails if somebody was quicker
        except OSError as error:
            raise self._failed(error) from None
        return size_bytes

    def _failed(self, error: OSError) -> CommandError:
        return CommandError(f"{self.path} could not be written ({error.strerror}); nothing is left of it.")
