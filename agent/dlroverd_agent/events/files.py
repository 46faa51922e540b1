"""The files that ranks write events to, one for each, in a folder that lives as long as this boot of the host.

On tmpfs a rank's write never waits for a disk. The folder is ours: a rank's user owns its file and cannot put
anything in its place. A name is never given twice, so what was read of a file is known by its name.
"""

import hashlib
import os
import re
import secrets
import stat
from pathlib import Path

from dlroverd.model.ids import RankKey
from dlroverd_agent.launchers.files import key_of

_NAME = re.compile(r"(?P<unit>.+)@(?P<boot>[0-9a-f]{8})[0-9a-f]{8}", re.ASCII)


class EventFiles:
    """The folder of one agent's ranks. Blocking. `problem` says why it is not below `run_dir`; "" if it is."""

    def __init__(self, run_dir: Path, state_dir: Path, boot_id: str) -> None:
        """Make the folder if need be; OSError if that can be done nowhere."""
        self._boot = boot_id[:8]
        self.problem = ""
        # Several agents may share a run_dir: tests, and hosts with more than one fleet.
        own = hashlib.sha256(os.fspath(state_dir.absolute()).encode()).hexdigest()[:16]
        try:
            _make(run_dir)
            self.folder = _make(run_dir / own)
        except OSError as error:
            self.folder = _make(state_dir / "run")
            self.problem = (
                f"run_dir {run_dir} cannot be used ({error.strerror or error}), so ranks write their events into "
                f"{self.folder}: name a folder on tmpfs that this agent can make"
            )

    def make(self, key: RankKey, uid: int, gid: int) -> Path:
        """Make the file of a rank that is about to start, as its user's; OSError if it cannot be made."""
        path = self.folder / f"{key.unit}@{self._boot}{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            if os.geteuid() == 0 and uid != 0:
                os.fchown(descriptor, uid, gid)
        finally:
            os.close(descriptor)
        return path

    def found(self) -> dict[str, RankKey]:
        """List the files of this boot by name, and remove all else: what an older boot left says nothing any more."""
        found = {}
        for path in self.folder.iterdir():
            name = _NAME.fullmatch(path.name)
            key = key_of(name["unit"]) if name is not None else None
            if name is not None and key is not None and name["boot"] == self._boot:
                found[path.name] = key
            elif not path.is_dir() or path.is_symlink():
                path.unlink(missing_ok=True)
        return found


def _make(folder: Path) -> Path:
    """Make a folder that only we may write; OSError if it is there and another's."""
    folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise OSError(f"{folder} is no folder that only this agent's user may write")
    return folder
