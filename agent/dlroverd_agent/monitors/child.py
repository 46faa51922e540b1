"""The process that reads the host and its ranks, since a read may never return: a file system of a server that is away.

`python -m dlroverd_agent.monitors.child STATE_DIR MEMORY_BYTES AGENT_PID`. For each line on its standard input, which
has the pids of ranks by name, it writes one with what it read, both JSON. Imports little: it is kept between readings.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

from dlroverd.plugin_host.confine import confine
from dlroverd_agent.monitors.connections import round_trip_s

# Of linux/if_arp.h: Ethernet.
_ETHERNET = "1"
# What the counters of an InfiniBand port count data in (InfiniBand Architecture Specification 16.1.3.5).
_LANES_BYTES = 4
# A rank's control group under systemd (launchers/unit.py), without what it makes below that.
_GROUP = re.compile(r"^0::(/dlroverd\.slice/\S+?\.service)", re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")

Values = dict[str, float]


class Readings:
    """Reads again and again; what is counted becomes a rate from the second reading on. `root` is / but for tests."""

    def __init__(self, state_dir: str, root: Path = Path("/")) -> None:
        self._state_dir = state_dir
        self._root = root
        self._counted: dict[str, tuple[float, float]] = {}
        self._far_s: float | None = None
        psutil.cpu_times_percent()
        psutil.cpu_percent()  # the share of time is that since the call before

    def read(self, ranks: dict[str, int]) -> tuple[Values, dict[str, Values]]:
        """Read the host, and the ranks with these main processes. What cannot be read is left out."""
        before, self._counted = self._counted, {}
        host: Values = {}
        for read in (self._load, self._memory, self._disk, self._network, self._infiniband):
            try:
                host |= read(before)
            except (OSError, ValueError, RuntimeError):
                continue  # not of this host, or not for this user
        processes = _Processes(self._root)
        host["host_processes"] = float(processes.count)
        host |= self._round_trip([each for pid in ranks.values() for each in processes.below(pid)])
        found: dict[str, Values] = {}
        for name, pid in ranks.items():
            try:
                cpu_s, memory = self._group(pid) or processes.tree(pid)
            except (OSError, ValueError, KeyError):
                continue  # it has ended
            counts = {f"rank_cpu_ratio {name}": cpu_s, **self._waited(name, pid)}
            found[name] = {"rank_memory_bytes": memory} | self._rate(before, counts)
        return host, {name: {key.partition(" ")[0]: value for key, value in of.items()} for name, of in found.items()}

    def _round_trip(self, pids: list[int]) -> Values:
        """Give the shorter of the newest two, so that what passes is not seen."""
        before, self._far_s = self._far_s, None
        try:
            self._far_s = round_trip_s(pids)
        except OSError:
            return {}  # this kernel does not tell
        return {"host_round_trip_seconds": min(before, self._far_s)} if before and self._far_s else {}

    def _waited(self, name: str, pid: int) -> Values:
        """Give for how long the threads of a process have waited for a CPU, in seconds, if the kernel counts that."""
        waited = 0
        for each in (self._root / f"proc/{pid}/task").glob("*/schedstat"):
            words = _text(each).split()
            if len(words) < 2:
                continue  # it has ended
            waited += int(words[1])
        return {f"rank_cpu_wait_ratio {name}": waited / 1e9} if waited else {}

    def counters(self) -> Values:
        """Read what the host counts of its faults, as `signal part`. The kernel's log says nothing of these."""
        counts: Values = {}
        for port in (self._root / "sys/class/infiniband").glob("*/ports/*"):
            downed = _text(port / "counters/link_downed")
            if downed.isdecimal():
                counts[f"link.down {port.parent.parent.name}/{port.name}"] = float(downed)
        return counts

    def _rate(self, before: dict[str, tuple[float, float]], counts: Values) -> Values:
        """Give by how much counts have risen a second; those that are new, or began anew, give nothing."""
        now = time.monotonic()
        rates = {}
        for key, count in counts.items():
            self._counted[key] = (now, count)
            at, last = before.get(key, (now, count))
            if now > at and count >= last:
                rates[key] = (count - last) / (now - at)
        return rates

    def _load(self, before: dict[str, tuple[float, float]]) -> Values:
        said = {"host_load": os.getloadavg()[0]}
        if before:
            said["host_cpu_ratio"] = psutil.cpu_percent() / 100.0
            said["host_cpu_steal_ratio"] = psutil.cpu_times_percent().steal / 100.0
        return said

    def _memory(self, _: object) -> Values:
        memory = psutil.virtual_memory()
        return {
            "host_memory_used_bytes": memory.total - memory.available,
            "host_memory_available_bytes": memory.available,
            "host_memory_total_bytes": memory.total,
            "host_swap_used_bytes": psutil.swap_memory().used,
        }

    def _disk(self, _: object) -> Values:
        disk = psutil.disk_usage(self._state_dir)
        return {"host_disk_used_bytes": disk.used, "host_disk_used_ratio": disk.percent / 100.0}

    def _network(self, before: dict[str, tuple[float, float]]) -> Values:
        counters = psutil.net_io_counters(pernic=True)
        folder = self._root / "sys/class/net"
        ethernet = [name for name in counters if name != "lo" and _text(folder / name / "type") == _ETHERNET]
        # Bridges, bonds and VLANs count what a physical interface counts, too; a container has only such.
        chosen = [name for name in ethernet if (folder / name / "device").exists()] or ethernet
        of = [counters[name] for name in chosen]
        return self._rate(
            before,
            {
                "host_network_receive_bytes_per_second": sum(each.bytes_recv for each in of),
                "host_network_transmit_bytes_per_second": sum(each.bytes_sent for each in of),
                "host_network_packets_per_second": sum(each.packets_recv + each.packets_sent for each in of),
                "host_network_errors_per_second": sum(
                    each.errin + each.errout + each.dropin + each.dropout for each in of
                ),
            },
        )

    def _infiniband(self, before: dict[str, tuple[float, float]]) -> Values:
        ports = list((self._root / "sys/class/infiniband").glob("*/ports/*/counters"))

        def total(*names: str) -> float:
            return sum(int(_text(port / name)) for port in ports for name in names)

        if not ports:
            return {}
        return self._rate(
            before,
            {
                "host_infiniband_receive_bytes_per_second": total("port_rcv_data") * _LANES_BYTES,
                "host_infiniband_transmit_bytes_per_second": total("port_xmit_data") * _LANES_BYTES,
                "host_infiniband_packets_per_second": total("port_rcv_packets", "port_xmit_packets"),
                "host_infiniband_errors_per_second": total("port_rcv_errors", "port_xmit_discards"),
            },
        )

    def _group(self, pid: int) -> tuple[float, float] | None:
        """Give CPU seconds and resident bytes of a rank's control group; None if it has none, or that counts not."""
        group = _GROUP.search((self._root / f"proc/{pid}/cgroup").read_text(errors="replace"))
        if group is None:
            return None
        for tree in ("sys/fs/cgroup", "sys/fs/cgroup/unified"):
            folder = self._root / tree / group[1].lstrip("/")
            try:
                cpu, memory = _table(folder / "cpu.stat"), _table(folder / "memory.stat")
            except FileNotFoundError:
                continue
            return cpu["usage_usec"] / 1e6, float(memory["anon"] + memory["shmem"])
        return None


class _Processes:
    """All processes of one moment: who started whom, and what CPU time each has used."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._children: dict[int, list[int]] = {}
        self._cpu_s: dict[int, float] = {}
        for pid in filter(str.isdigit, os.listdir(root / "proc")):
            try:
                # After the name, which may hold anything: state, ppid, and from the 12th on the four times (proc(5)).
                stat = (root / f"proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended
            self._children.setdefault(int(stat[1]), []).append(int(pid))
            self._cpu_s[int(pid)] = sum(map(int, stat[11:15])) / _TICKS

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._cpu_s)

    def tree(self, pid: int) -> tuple[float, float]:
        """Give CPU seconds (of ended children, too) and resident bytes of a process and all below it."""
        pids = list(self.below(pid))
        return sum(self._cpu_s[each] for each in pids), float(sum(map(self._resident, pids)))

    def below(self, pid: int) -> Iterator[int]:
        """Give a process and all that it started."""
        yield pid
        for child in self._children.get(pid, ()):
            yield from self.below(child)

    def _resident(self, pid: int) -> int:
        try:
            status = _table(self._root / f"proc/{pid}/status", ("RssAnon:", "RssShmem:"))
        except OSError:
            return 0  # it has ended
        return sum(status.values()) * 1024


def _table(path: Path, wanted: Iterable[str] = ("usage_usec", "anon", "shmem")) -> dict[str, int]:
    """Read lines of a name and a number, those that are wanted."""
    words = (line.split() for line in path.read_text(errors="replace").splitlines())
    return {each[0]: int(each[1]) for each in words if each and each[0] in wanted}


def _text(path: Path) -> str:
    """Read a line; "" if it is not there."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def main(state_dir: str, memory_bytes: int, agent_pid: int) -> None:
    """Read whenever asked, until the agent closes the pipe or ends."""
    confine(memory_bytes, agent_pid)
    readings = Readings(state_dir)
    for line in sys.stdin:
        sys.stdout.write(json.dumps((*readings.read(json.loads(line)), readings.counters())) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
