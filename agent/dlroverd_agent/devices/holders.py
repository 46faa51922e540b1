"""Who computes on a device: a rank of ours, someone else, or a process that is about to be gone.

Reads /proc, where a line about a process that is stuck in the kernel may never come: for a thread with a deadline.
"""

import os
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from dlroverd.model.ids import RankKey
from dlroverd.plugin_api import DeviceReading
from dlroverd_agent.launchers.files import key_of
from dlroverd_agent.launchers.leftovers import MARKER

# A rank's service, in the slice of all ranks (launchers/unit.py); what it forks may be in groups below it.
_SERVICE = re.compile(r"/dlroverd\.slice/.*/dlroverd-[a-z0-9]+-(j[^/]+)\.service(?:/|$)", re.MULTILINE)
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process on a device, `memory_bytes` of which are its own.

    `key` is the rank it is part of, None for one that is not ours. `ending`: it has no memory of its own any more, or
    this host does not show it, and whose it was cannot be told. `who` names it for people.
    """

    uuid: str
    pid: int
    memory_bytes: int
    key: RankKey | None
    ending: bool
    who: str


def holders(readings: Iterable[DeviceReading]) -> tuple[Holder, ...]:
    """Name all processes on the devices, in order of device and pid."""
    return tuple(
        _holder(reading.uuid, process.pid, process.memory_bytes)
        for reading in readings
        for process in sorted(reading.processes, key=lambda process: process.pid)
    )


def _holder(uuid: str, pid: int, memory_bytes: int) -> Holder:
    key, ending, who = None, False, f"pid {pid}, which has ended or runs where this host does not see it"
    try:
        process = psutil.Process(pid)
        key = _key_by_group(pid) or _key_by_environment(process)
        program = _program(process, [] if key else process.cmdline())
        who = f"pid {pid} of {process.username()} ({program}) since {since(process.create_time())}"
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        ending = True
    except psutil.AccessDenied:
        who = f"pid {pid} of another user"  # the agent is not root, and no rank of its is another user's
    return Holder(uuid=uuid, pid=pid, memory_bytes=memory_bytes, key=key, ending=ending, who=who)


def _key_by_group(pid: int) -> RankKey | None:
    """Find the rank that systemd runs a process for, by its control group, which is known to the last."""
    with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
        found = _SERVICE.search(file.read())
    return key_of(found[1]) if found else None


def _key_by_environment(process: psutil.Process) -> RankKey | None:
    """Find the rank that the process launcher runs a process for, by the mark that it leaves."""
    try:
        return key_of(os.path.basename(process.environ().get(MARKER, "")))
    except psutil.AccessDenied:
        return None  # another user's, which no rank of an agent is that may not read it


def _program(process: psutil.Process, command: list[str]) -> str:
    """Say what runs: the program and a Python script's name, none of its other arguments, which may be secret."""
    if not command:
        return str(process.name())
    script = [os.path.basename(word) for word in command[1:2] if word.endswith(".py")]
    return " ".join([os.path.basename(command[0]), *script])


def since(at: float) -> str:
    """Say when, in the host's own time: `14:02` within a day, else with the date."""
    form = "%H:%M" if 0.0 <= time.time() - at < _DAY_S else "%Y-%m-%d %H:%M"
    return time.strftime(form, time.localtime(at))
