"""`dlroverctl state backup`: the log, configuration and certificates in one file, while the daemon runs or not.

A program of its own, on the daemon's host: it must work for a daemon that does not, and its keys go over no wire.
"""

import argparse
import grp
import pwd
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dlroverd import __version__
from dlroverd.config.daemon import DEFAULT_PATH, DaemonConfig, load_daemon_config
from dlroverd.config.document import ConfigError
from dlroverd.daemon import archive
from dlroverd.daemon.archive import BackupError, Manifest, Part
from dlroverd.store.copying import LOG, OWN, copy_log
from dlroverd.store.interface import StoreError

# Large, and of no use to a daemon that goes on: what ranks wrote last, and what no sink would take.
_LEFT_OUT = frozenset({"output", "dead-letters"})


def main(argv: Sequence[str] | None = None) -> int:
    """Make a backup; gives the exit status."""
    parser = argparse.ArgumentParser(prog="dlroverctl state backup")
    parser.add_argument("target", type=Path)
    parser.add_argument("--config")
    options = parser.parse_args(argv)
    try:
        target, manifest = back_up(options.target, options.config)
    except (BackupError, ConfigError, StoreError) as error:
        for sentence in str(error).splitlines():
            sys.stderr.write(f"dlroverctl: {sentence}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"dlroverctl: {error}; nothing was written. Run it as root, where there is room.\n")
        return 1
    sys.stderr.write(
        f"dlroverctl: {target} holds log {manifest.log_id[:8]} up to position {manifest.position}, and "
        f"{len(manifest.parts) - 1} files beside it; it has secrets in it, and is its owner's alone\n"
    )
    return 0


def back_up(target: Path, config_path: str | None) -> tuple[Path, Manifest]:
    """Write a backup to a file, or to one with a name of its own in a folder; gives where, and what it holds."""
    config = load_daemon_config(config_path)
    state_dir, taken_at = Path(config.state_dir), time.time()
    if not state_dir.is_dir():
        raise BackupError(f"There is no state directory {state_dir}; name the daemon's configuration (--config).")
    folder = target if target.is_dir() else target.parent
    with tempfile.TemporaryDirectory(prefix=".dlroverd-backup-", dir=folder) as room:
        log = Path(room) / LOG
        copied = copy_log(state_dir, log)
        size, sha256 = archive.digest(log)
        parts, sources = [Part(name=LOG, size=size, sha256=sha256)], [log]
        for number, (file, path, in_state) in enumerate(_files(config, config_path, state_dir), 1):
            kept = Path(room) / str(number)
            kept.write_bytes(file.read_bytes())  # a copy, so that it is what its digest says whatever happens meanwhile
            parts.append(_part(f"files/{number}", kept, file, path, in_state=in_state))
            sources.append(kept)
        manifest = Manifest(
            version=archive.VERSION,
            dlroverd=__version__,
            taken_at=taken_at,
            log_id=copied.log_id,
            position=copied.position,
            state_dir=str(state_dir),
            parts=tuple(parts),
        )
        if target.is_dir():
            moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(taken_at))
            target = target / f"dlroverd-{copied.log_id[:8]}-{moment}.backup"
        archive.write(target, manifest, sources)
    return target, manifest


def _files(config: DaemonConfig, config_path: str | None, state_dir: Path) -> Iterator[tuple[Path, str, bool]]:
    """Name what belongs to the daemon beside its log: each with the path that it is restored to."""
    tls = config.tls.model_dump(exclude_none=True).values() if config.tls else ()  # with the authority's key
    for path in dict.fromkeys((config_path or DEFAULT_PATH, config.topology or "", *map(str, tls))):
        if path and (file := Path(path).absolute()).is_file():
            yield file, str(file), False
    for file in sorted(state_dir.rglob("*")):
        relative = file.relative_to(state_dir)
        aside = relative.parts[0].startswith(f"{LOG}.")
        if relative.parts[0] in OWN | _LEFT_OUT or aside or not stat.S_ISREG(file.lstat().st_mode):
            continue
        yield file, str(relative), True


def _part(name: str, kept: Path, file: Path, path: str, *, in_state: bool) -> Part:
    found = file.stat()
    size, sha256 = archive.digest(kept)
    return Part(
        name=name,
        size=size,
        sha256=sha256,
        path=path,
        in_state=in_state,
        mode=stat.S_IMODE(found.st_mode),
        user=_named(lambda: pwd.getpwuid(found.st_uid).pw_name),
        group=_named(lambda: grp.getgrgid(found.st_gid).gr_name),
    )


def _named(look: Callable[[], str]) -> str:
    try:
        return look()
    except KeyError:
        return ""


if __name__ == "__main__":
    sys.exit(main())
