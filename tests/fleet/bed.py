"""Hosts that run systemd, with faults on demand: ../shared/testbed/fleet, called from tests.

Nothing here knows dlroverd. A host's files and processes are looked at through /proc/PID/root of its PID 1, which
costs no process and works when the host is frozen or cut off.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.system.fleet import DEADLINE_S, ROOT, until

WHAT_IT_NEEDS = "needs root and Linux namespaces"
_PLACES = (os.environ.get("DLROVERD_TESTBED", ""), ROOT.parent / "shared/testbed", "/work/shared/testbed")


def missing() -> str:
    """Say what keeps hosts from being booted here, "" if nothing does."""
    namespaces = ("unshare", "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "true")
    if os.geteuid() or subprocess.run(namespaces, check=False, capture_output=True).returncode:
        return WHAT_IT_NEEDS
    return "" if program() else "needs the test bed: set DLROVERD_TESTBED to the folder of its `fleet`"


def program(name: str = "fleet") -> Path | None:
    """Find a program of the test bed."""
    places = (Path(place) / name for place in _PLACES if place)
    return next((place.absolute() for place in places if place.exists()), None)


@dataclass(frozen=True, slots=True)
class Process:
    """A process of a host, its pid as the host sees it."""

    pid: int
    argv: tuple[str, ...]
    environ: dict[str, str]


class Bed:
    """The hosts of one state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._faulty = False
        self._spawned: list[subprocess.Popen[str]] = []

    def up(self, count: int, prefix: str, binds: Sequence[str]) -> list[str]:
        """Boot hosts PREFIX1 to PREFIXn, which see the folders `binds` of this machine; gives their names."""
        self._fleet("up", str(count), "--prefix", prefix, *(word for bind in binds for word in ("--bind", bind)))
        return [f"{prefix}{number}" for number in range(1, count + 1)]

    def down(self) -> None:
        """Take everything away."""
        self._fleet("down")

    # ---- faults, which last until healed

    def kill(self, host: str, *, clean: bool = False) -> None:
        """Cut a host's power, so that no peer gets a FIN; `clean`: power it off in good order."""
        self._fault("kill", host, *(["--clean"] if clean else []))

    def start(self, host: str) -> None:
        """Boot a dead host with the disk it had."""
        self._fleet("start", host)

    def reboot(self, host: str) -> None:
        """Reboot a host in good order, and wait until it is up again."""
        before = self.boot_id(host)
        self.exec(host, "systemctl", "reboot")
        until(lambda: self.boot_id(host), lambda now: now != before)
        # With --wait it would fail at once for a systemd that has no socket yet.
        until(lambda: self.exec(host, "systemctl", "is-system-running", code=None), lambda said: said == "running\n")

    def partition(self, host: str, *, peers: Sequence[str] = (), unplug: bool = False) -> None:
        """Drop a host's frames: all, or those from and to `peers`; `unplug` takes the carrier away too."""
        words = ["--unplug"] if unplug else []
        self._fault("partition", host, *words, *(["--from", *peers] if peers else []))

    def slow(self, host: str, **options: str) -> None:
        """Make a link bad, each way: delay="200ms", jitter="20ms", loss="5%", rate="10mbit"."""
        self._fault("slow", host, *(word for name, value in options.items() for word in (f"--{name}", value)))

    def heal(self, host: str = "") -> None:
        """End partitions and slowness, of one host or of all."""
        self._fleet("heal", *([host] if host else []))

    def freeze(self, host: str) -> None:
        """Stop all processes of a host; its kernel still answers."""
        self._fault("freeze", host)

    def thaw(self, host: str) -> None:
        """Let a frozen host go on."""
        self._fleet("thaw", host)

    def mend(self) -> None:
        """End all faults that were made here, and what was spawned: every host is up, thawed and reachable."""
        while self._spawned:
            with self._spawned.pop() as process:
                process.kill()
        if not self._faulty:
            return
        self.heal()
        for host, state in self.states().items():
            if state == "dead":
                self.start(host)
            elif state == "frozen":
                self.thaw(host)
        self._faulty = False

    # ---- what is in a host

    def exec(self, host: str, *command: str, code: int | None = 0, said: str = "") -> str:
        """Run a command in a host's /; gives its stdout. Fails if it exits otherwise (None: whatever it exits with)."""
        done = self._call("exec", host, "--", *command, said=said)
        assert code in (None, done.returncode), f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def spawn(self, host: str, *command: str) -> "subprocess.Popen[str]":
        """Run a command in a host beside the test, until that is over; its stdout is to be read."""
        command_line = self._words("exec", host, "--", *command)
        self._spawned.append(subprocess.Popen(command_line, stdout=subprocess.PIPE, text=True))
        return self._spawned[-1]

    def journal(self, host: str, unit: str, *options: str) -> str:
        """Give the journal of a unit, of a dead host too."""
        return self._fleet("logs", host, "-u", unit, "--no-pager", *options)

    def states(self) -> dict[str, str]:
        """Tell how each host is: running, frozen, dead, ..."""
        return {host["host"]: host["state"] for host in json.loads(self._fleet("list", "--json"))}

    def root(self, host: str) -> Path:
        """Give the root folder of a living host, to read and write."""
        return Path(f"/proc/{json.loads((self._state / host / 'init.json').read_text())['pid']}/root")

    def boot_id(self, host: str) -> str:
        """Tell which boot of a host this is."""
        return (self._state / host / "boot_id").read_text().strip()

    def processes(self, host: str) -> Iterator[Process]:
        """Give the processes of a living host."""
        proc = self.root(host) / "proc"
        for pid in filter(str.isdigit, os.listdir(proc)):
            try:
                argv = _split(proc / pid / "cmdline")
                environ = dict(word.split("=", 1) for word in _split(proc / pid / "environ") if "=" in word)
            except OSError:
                continue  # it ended meanwhile
            yield Process(int(pid), tuple(argv), environ)

    def _fault(self, *words: str) -> None:
        self._faulty = True
        self._fleet(*words)

    def _fleet(self, *words: str) -> str:
        done = self._call(*words)
        assert done.returncode == 0, f"fleet {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-BES", str(program()), "--state", str(self._state), *words]

    def _call(self, *words: str, said: str = "") -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            self._words(*words),
            input=said,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S * 2,
            check=False,
        )


def _split(path: Path) -> list[str]:
    return path.read_text(errors="replace").rstrip("\0").split("\0")
