"""Control groups: what a unit's processes cannot leave, so that killing and counting them misses none."""

import asyncio
import errno
import os
import select
from pathlib import Path

# After KILL: from then on what is left of a group is named.
UNKILLABLE_AFTER_S = 10.0


def systemd_tree() -> Path | None:
    """Find the folder of systemd's own root in the cgroup v2 tree; None if there is none, or on Linux before 5.14."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        before, _, after = line.partition(" - ")
        if after.split()[0] == "cgroup2":
            mount = Path(before.split()[4])
            break
    else:
        return None
    for line in Path("/proc/1/cgroup").read_text(encoding="utf-8").splitlines():
        if line.startswith("0::"):
            init = mount / line.removeprefix("0::/")
            return init.parent if (init / "cgroup.kill").exists() else None
    return None


class ControlGroup:
    """One control group, by its folder; one that does not exist (any more) is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def empty(self) -> bool:
        """Tell whether no process is in it or below it."""
        try:
            return _is_empty((self.folder / "cgroup.events").read_text(encoding="ascii"))
        except OSError as error:
            return _is_absence(error)

    def kill(self) -> None:
        """Send KILL to all in it and below it, also to what is just being forked."""
        self._write("cgroup.kill", "1")

    def freeze(self, frozen: bool) -> None:
        """Stop all in it and below it, or let them go on. KILL still works."""
        self._write("cgroup.freeze", "1" if frozen else "0")

    def names(self) -> tuple[str, ...]:
        """Name the processes in it and below it, as `pid (name) state`."""
        return _describe(self.processes())

    def processes(self) -> list[int]:
        """List the pids in it and below it."""
        pids: list[int] = []
        for folder, _, _ in os.walk(self.folder):
            try:
                pids += map(int, Path(folder, "cgroup.procs").read_text(encoding="ascii").split())
            except OSError as error:
                if not _is_absence(error):
                    raise
        return pids

    async def until_empty(self) -> None:
        """Wait until no process is left; the kernel says so at once."""
        try:
            events = os.open(self.folder / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        changed = asyncio.Event()
        # The file tells of its changes as an exceptional condition, which asyncio does not wait for, but epoll does.
        watch = select.epoll()
        loop = asyncio.get_running_loop()
        try:
            watch.register(events, select.EPOLLPRI)
            loop.add_reader(watch.fileno(), changed.set)
            while True:
                changed.clear()
                if _is_empty(os.pread(events, 4096, 0).decode()):
                    return
                await changed.wait()
        except OSError as error:
            if not _is_absence(error):
                raise
        finally:
            loop.remove_reader(watch.fileno())
            watch.close()
            os.close(events)

    async def end(self, within_s: float) -> tuple[str, ...]:
        """Kill all in it and wait until it is empty; the names of what is left after `within_s` seconds."""
        self.kill()
        try:
            async with asyncio.timeout(within_s):
                await self.until_empty()
        except TimeoutError:
            return self.names()
        return ()

    def _write(self, name: str, value: str) -> None:
        try:
            (self.folder / name).write_text(value, encoding="ascii")
        except OSError as error:
            if not _is_absence(error):
                raise


def _is_absence(error: OSError) -> bool:
    """Tell whether the group is not there (any more), and so has no process in it."""
    return error.errno in (errno.ENOENT, errno.ENODEV)


def _is_empty(events: str) -> bool:
    return "populated 0" in events


def _describe(pids: list[int]) -> tuple[str, ...]:
    """Name processes as `pid (name) state`, those that are still there."""
    names = []
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        name, _, rest = text.rpartition(")")
        names.append(f"{name}) {rest.split()[0]}")
    return tuple(names)
