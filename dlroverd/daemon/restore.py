"""`dlroverctl state restore`: a backup becomes the daemon's state, on its old host or on a new one.

The daemon must be stopped. What it does with a log that is older than what its nodes run is the core's
(`core/intake/restored.py`): this only says in the log that it was restored.
"""

import argparse
import grp
import os
import pwd
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dlroverd.config.daemon import DEFAULT_PATH, load_daemon_config
from dlroverd.config.document import ConfigError
from dlroverd.daemon import archive
from dlroverd.daemon.archive import Archive, BackupError, Part
from dlroverd.store.copying import LOG, restore_log
from dlroverd.store.interface import StoreError

_USER = "dlroverd"


def main(argv: Sequence[str] | None = None) -> int:
    """Restore a backup; gives the exit status."""
    parser = argparse.ArgumentParser(prog="dlroverctl state restore")
    parser.add_argument("file", type=Path)
    parser.add_argument("--config")
    parser.add_argument("--force", action="store_true")
    options = parser.parse_args(argv)
    try:
        said = restore(options.file, options.config, force=options.force)
    except (BackupError, ConfigError, StoreError) as error:
        said = str(error).splitlines()
        status = 1
    except OSError as error:
        remedy = "name a backup that is there" if isinstance(error, FileNotFoundError) else "run it as root, with room"
        said, status = [f"{error.filename or 'restoring'}: {error.strerror or error}; {remedy}."], 1
    else:
        status = 0
    for sentence in said:
        sys.stderr.write(f"dlroverctl: {sentence}\n")
    return status


def restore(file: Path, config_path: str | None, *, force: bool) -> list[str]:
    """Restore a backup, after all of it was found whole; gives what there is to say of it."""
    with archive.reading(file) as backup:
        backup.verify()
        manifest = backup.manifest
        known = config_path is not None or Path(DEFAULT_PATH).exists()
        state_dir = Path(load_daemon_config(config_path).state_dir if known else manifest.state_dir)
        owner = _owner_of(state_dir)
        log, *others = manifest.parts
        if not state_dir.exists():
            state_dir.mkdir(mode=0o700, parents=True)
            os.chown(state_dir, *owner)
        with _acting_as(owner):
            fresh = state_dir / f"{LOG}.restoring"
            try:
                _write(fresh, backup, log, mode=0o600)
                aside = restore_log(fresh, state_dir, manifest.taken_at, force=force)
            finally:
                fresh.unlink(missing_ok=True)
            kept = [_put(backup, part, state_dir / part.path) for part in others if part.in_state]
        kept += [_put(backup, part, Path(part.path), owned=True) for part in others if not part.in_state]
    said = [f"{state_dir} goes on from position {manifest.position} of log {manifest.log_id[:8]}; start dlroverd"]
    said += [f"the log that was there is now {aside}"] if aside is not None else []
    return said + [sentence for sentence in kept if sentence]


def _put(backup: Archive, part: Part, path: Path, *, owned: bool = False) -> str:
    """Put a file where it belongs unless one is there; says so if that is another one."""
    content = backup.content(part)
    if path.exists():
        same = path.read_bytes() == content
        return "" if same else f"{path} is not as in the backup ({part.name}), and was left as it is"
    path.parent.mkdir(mode=0o755 if owned else 0o700, parents=True, exist_ok=True)
    _write(path, backup, part, mode=part.mode)
    if owned and os.geteuid() == 0:
        os.chown(path, *_ids(part))
    return ""


def _write(path: Path, backup: Archive, part: Part, mode: int) -> None:
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.writelines(backup.chunks(part))
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())


def _ids(part: Part) -> tuple[int, int]:
    """Give whose a file is on this host; who is not known here is left out."""
    try:
        return pwd.getpwnam(part.user).pw_uid, grp.getgrnam(part.group).gr_gid
    except KeyError:
        return -1, -1


def _owner_of(state_dir: Path) -> tuple[int, int]:
    """Give whose the state is to be: whose it is, else the daemon's user where there is one and root asks."""
    if state_dir.exists():
        found = state_dir.stat()
        return found.st_uid, found.st_gid
    try:
        user = pwd.getpwnam(_USER)
    except KeyError:
        return os.geteuid(), os.getegid()
    return (user.pw_uid, user.pw_gid) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


@contextmanager
def _acting_as(owner: tuple[int, int]) -> Iterator[None]:
    """Write as the state's owner, if root asks: what the daemon finds is its own then."""
    if os.geteuid() != 0 or owner[0] == 0:
        yield
        return
    group = os.getegid()
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


if __name__ == "__main__":
    sys.exit(main())
