"""What ranks need of the host itself: systemd, control groups, limits, shared memory, memory, a clock that is kept."""

import ctypes
import os
import re
import shutil
from collections.abc import Iterator

from dlroverd.cli.doctor.finding import Finding, Host, bad, ok, said
from dlroverd.cli.output import size

OLDEST_SYSTEMD = 252
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
# Below these a host full of data loaders runs out: of files (the agent's unit asks for as many), of processes, of maps.
LEAST = {
    "fs.nr_open": 524288,
    "kernel.pid_max": 65536,
    "kernel.threads-max": 65536,
    "vm.max_map_count": 65530,
}
LEAST_FREE_BYTES = 1024**3
LEAST_SHM_BYTES = 1024**3
# adjtimex(2)
_TIME_ERROR, _STRUCT_TIMEX_BYTES, _MAXERROR_AT = 5, 208, 24


def systemd(host: Host) -> Iterator[Finding]:
    """PID 1 is a systemd that is new enough."""
    if host.read("/proc/1/comm") != "systemd":
        found = f"PID 1 is {host.read('/proc/1/comm') or 'unknown'}"
        fix = (
            "use a host that systemd runs; an agent with `launcher: process` does without, but its ranks have no limits"
        )
        yield bad("systemd", found, fix)
        return
    code, version = said("systemctl", "--version")
    number = re.search(r"systemd (\d+)", version)
    if code or number is None:
        yield bad("systemd", f"its version is unknown: {version}", "see that `systemctl --version` works")
    elif int(number[1]) < OLDEST_SYSTEMD:
        yield bad("systemd", f"version {number[1]}", f"upgrade to systemd {OLDEST_SYSTEMD} or newer")
    else:
        yield ok("systemd", f"version {number[1]}")


def control_groups(host: Host) -> Iterator[Finding]:
    """Limits of ranks need the unified hierarchy with its controllers."""
    controllers = host.read("/sys/fs/cgroup/cgroup.controllers").split()
    missing = [each for each in CONTROLLERS if each not in controllers]
    if not (host.root / "sys/fs/cgroup/cgroup.controllers").exists():
        yield bad("control groups", "not the unified hierarchy (v2)", "boot with `systemd.unified_cgroup_hierarchy=1`")
    elif missing:
        yield bad(
            "control groups",
            f"v2 without {', '.join(missing)}: limits that jobs set on those have no effect",
            "boot with `cgroup_no_v1=all` (for memory also `cgroup_enable=memory`)",
        )
    else:
        yield ok("control groups", "v2 with " + ", ".join(CONTROLLERS))


def limits(host: Host) -> Iterator[Finding]:
    """The kernel's bounds on files, processes and maps."""
    values = {name: host.read(f"/proc/sys/{name.replace('.', '/')}") for name in LEAST}
    low = [name for name, least in LEAST.items() if values[name].isdigit() and int(values[name]) < least]
    shown = ", ".join(f"{name} {value or 'unknown'}" for name, value in values.items())
    if low:
        wanted = " ".join(f"{name}={LEAST[name]}" for name in low)
        yield bad("limits", shown, f"sysctl -w {wanted} (and a file in /etc/sysctl.d, to keep it)")
    else:
        yield ok("limits", shown)


def remove_ipc(host: Host) -> Iterator[Finding]:
    """What logind does to the shared memory of a user who logs out."""
    value = "yes"  # as it is built
    for path in _logind_files(host):
        for line in host.read(path).splitlines():
            if (found := re.fullmatch(r"\s*RemoveIPC\s*=\s*(\S+)\s*", line)) is not None:
                value = found[1].lower()
    if value in ("no", "false", "off", "0"):
        yield ok("RemoveIPC", "no: shared memory of ranks stays when their user logs out")
        return
    yield bad(
        "RemoveIPC",
        "yes: when a user logs out, logind deletes the shared memory of his ranks, and data loaders die of it",
        "printf '[Login]\\nRemoveIPC=no\\n' >/etc/systemd/logind.conf.d/dlroverd.conf (make the folder first), then "
        "`systemctl restart systemd-logind`",
    )


def memory(host: Host) -> Iterator[Finding]:
    """Room for ranks' shared memory and for checkpoints (`--checkpoint-memory`)."""
    about = dict(re.findall(r"^(\w+):\s+(\d+)", host.read("/proc/meminfo"), re.MULTILINE))
    free, total = (int(about.get(key, 0)) * 1024 for key in ("MemAvailable", "MemTotal"))
    found = f"{size(free)} of {size(total)} available for ranks and `--checkpoint-memory`"
    if host.read("/proc/sys/vm/overcommit_memory") == "2":
        left = (int(about.get("CommitLimit", 0)) - int(about.get("Committed_AS", 0))) * 1024
        found += f"; vm.overcommit_memory is 2, which leaves {size(max(0, left))}"
        free = min(free, left)
    if free < LEAST_FREE_BYTES:
        yield bad("memory", found, f"end what uses it; training needs {size(LEAST_FREE_BYTES)} and much more")
    else:
        yield ok("memory", found)
    try:
        room = shutil.disk_usage(host.root / "dev/shm")
    except OSError as error:
        yield bad("/dev/shm", f"{error.strerror}", "mount a tmpfs there: `mount -t tmpfs tmpfs /dev/shm`")
        return
    found = f"{size(room.free)} of {size(room.total)} free"
    if room.free < LEAST_SHM_BYTES:
        yield bad("/dev/shm", found, "data loaders hand batches over there: `mount -o remount,size=50% /dev/shm`")
    else:
        yield ok("/dev/shm", found)


def clock(_: Host) -> Iterator[Finding]:
    """Something keeps the clock right: the kernel knows, whichever program it is."""
    state = ctypes.create_string_buffer(_STRUCT_TIMEX_BYTES)
    libc = ctypes.CDLL(None, use_errno=True)
    status = libc.adjtimex(state)
    if status < 0:
        yield bad("clock", f"adjtimex: {os.strerror(ctypes.get_errno())}", "see that NTP runs: `timedatectl`")
        return
    if status == _TIME_ERROR:
        yield bad(
            "clock",
            "nothing keeps it right: certificates, and what hosts say of first causes, depend on it",
            "install and start chrony or systemd-timesyncd, and see `timedatectl`",
        )
        return
    error_us = ctypes.c_long.from_buffer(state, _MAXERROR_AT).value
    yield ok("clock", f"synchronised, at most {error_us / 1000:.0f} ms off")


def _logind_files(host: Host) -> list[str]:
    """Name logind's configuration, what counts last at the end: systemd goes by the names of the drop-ins."""
    drop_ins: dict[str, str] = {}
    for folder in ("usr/lib", "run", "etc"):
        place = host.root / folder / "systemd/logind.conf.d"
        for path in sorted(place.glob("*.conf")) if place.is_dir() else ():
            drop_ins[path.name] = str(path.relative_to(host.root))
    return ["etc/systemd/logind.conf", *(drop_ins[name] for name in sorted(drop_ins))]
