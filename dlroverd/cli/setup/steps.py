"""What a setup does to its host: steps that are told of, one a line, and done where they are not done yet.

With --dry-run they are told of alone. Done twice, the second time finds everything as it should be and changes nothing.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import click

from dlroverd.cli.endings import CommandError

ROOT = "root"


class Steps:
    """The steps of one setup. `changed` says whether any file was made so far, or would be."""

    def __init__(self, *, dry_run: bool) -> None:
        """Do what is asked for; with `dry_run`, only say what that would be. CommandError if this user may not."""
        self.dry_run = dry_run
        self.changed = False
        if dry_run:
            click.echo("# a dry run: nothing is done")
        elif os.geteuid() != 0:
            raise CommandError(
                "a host is set up as root: run it with sudo, or look at what it would do with --dry-run."
            )

    def folder(self, path: Path, *, mode: int, owner: str = ROOT) -> None:
        """Have a folder of this owner and mode; one that is there is given both. Root takes none from another."""
        if path.is_dir() and path.stat().st_mode & 0o7777 == mode and owner in (ROOT, path.owner()):
            return self._keep(path)
        self._tell("make", f"{path}/  ({mode:04o} {owner})")
        if not self.dry_run:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
            path.chmod(mode)
            own(path, owner)
        return None

    def file(self, path: Path, content: str, *, mode: int = 0o644, owner: str = ROOT) -> None:
        """Have a file. One that is there is its reader's own and stays as it is."""

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=mode)
            path.write_text(content)

        self.make({path: mode}, write, owner=owner, shown=content)

    def make(self, files: dict[Path, int], maker: Callable[[], object], *, owner: str = ROOT, shown: str = "") -> None:
        """Have files with these modes, which `maker` makes together if they are not there; `shown` is what is in them.

        CommandError: only some of them are there.
        """
        there = [path for path in files if os.path.lexists(path)]
        if there and len(there) < len(files):
            missing = next(path for path in files if path not in there)
            raise CommandError(
                f"{there[0]} is there and {missing} is not, and they belong together: bring it back (a backup has it), "
                f"or move {there[0]} away, and both are made anew."
            )
        if there:
            for path in files:
                self._keep(path)
            return
        for path, mode in files.items():
            self._tell("make", f"{path}  ({mode:04o} {owner})")
        if self.dry_run:
            for line in shown.splitlines():
                click.echo(f"          {line}".rstrip())
            return
        maker()
        for path, mode in files.items():
            path.chmod(mode)
            own(path, owner)

    def run(self, *words: str) -> None:
        """Run a command. CommandError with what it says, if it fails."""
        self._tell("run", " ".join(words), changes=False)
        if self.dry_run:
            return
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise CommandError(f"`{words[0]}` is not on this host, and a part of a fleet runs with systemd.") from None
        if done.returncode:
            said = done.stderr.strip().replace("\n", " ") or f"exit code {done.returncode}"
            raise CommandError(f"`{' '.join(words)}` failed: {said}")

    def start(self, unit: str) -> None:
        """Have a unit enabled and running with what was made here: one that ran before is restarted."""
        stale = self.changed and active(unit)
        self.run("systemctl", "enable", "--now", unit)
        if stale:
            self.run("systemctl", "restart", unit)

    def _keep(self, path: Path) -> None:
        self._tell("keep", str(path), changes=False)

    def _tell(self, verb: str, what: str, *, changes: bool = True) -> None:
        self.changed |= changes
        click.echo(f"{verb:<8}  {what}")


def own(path: Path, owner: str) -> None:
    """Give a file to a user and his group."""
    if path.owner() != owner:
        shutil.chown(path, owner, owner)


def active(unit: str) -> bool:
    """Tell whether a unit runs here."""
    if shutil.which("systemctl") is None:
        return False
    return subprocess.run(["systemctl", "is-active", unit], check=False, capture_output=True).returncode == 0
