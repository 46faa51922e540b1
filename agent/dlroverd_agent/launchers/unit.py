"""The unit of a rank: its names, its place in the tree of slices, its properties, and what its end means.

No value of the job is in a unit, for every user can read units: the order comes from the agent (`entry.py`). Nor is
anything that systemd may fail to read again at daemon-reload: systemd 252 keeps what is set by ExecStartEx (arguments
without expansion) under a key that it does not know, and the running unit gets a bad setting.

    dlroverd.slice                                       all ranks of the host
      dlroverd-main.slice                                of one fleet
        dlroverd-main-j1.slice                           of one job
          dlroverd-main-j1-trainer.slice                 of one role: its limits of memory and tasks
            dlroverd-main-j1-trainer-0-r2-rank3.service  one rank
"""

import os
import re
import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbus_fast import Variant

from dlroverd.model.ids import RankKey
from dlroverd.model.job import Resources
from dlroverd_agent.launchers.files import key_of
from dlroverd_agent.launchers.interface import LaunchOrder

START_S = 30.0

_UNLIMITED = 2**64 - 1
_MPOL_BIND = 2
# systemd.exec(5), "Process exit codes": what the user chose and systemd failed to do, before any program ran.
_REFUSED = {
    215: "none of the CPUs in its `cpus` is on this node; correct them",
    242: "this node has not the NUMA nodes in its `numa_nodes`; correct them",
}
# Hosts share their network cards among jobs: an allow-list of accelerators must not cut a rank off from RDMA.
_NETWORK_DEVICES = ("char-infiniband*", "/dev/infiniband/rdma_cm")

Property = tuple[str, Variant]


@dataclass(frozen=True, slots=True)
class UnitNames:
    """Names of the units of one fleet. A '-' nests slices, so those within a role's name are escaped."""

    fleet: str

    def rank(self, key: RankKey) -> str:
        """Name a rank's service."""
        return f"dlroverd-{self.fleet}-{key.unit}.service"

    def key(self, unit: str) -> RankKey | None:
        """Undo `rank`; None for a name that is not one of this fleet."""
        found = re.fullmatch(rf"dlroverd-{self.fleet}-(.+)\.service", unit)
        return key_of(found[1]) if found is not None else None

    @property
    def fleet_slice(self) -> str:
        """Name the slice of all ranks of the fleet on this host."""
        return f"dlroverd-{self.fleet}.slice"

    @property
    def pattern(self) -> str:
        """Give the glob pattern of the services of the fleet."""
        return f"dlroverd-{self.fleet}-j*.service"

    def job(self, job: int) -> str:
        """Name the slice of a job."""
        return f"dlroverd-{self.fleet}-j{job}.slice"

    def role(self, key: RankKey) -> str:
        """Name the slice of a rank's role."""
        return f"dlroverd-{self.fleet}-j{key.job}-{key.role.replace('-', chr(92) + 'x2d')}.slice"

    def path(self, key: RankKey) -> str:
        """Give the folder of a rank in the tree of control groups."""
        return f"{self.folder(self.role(key))}/{self.rank(key)}"

    def folder(self, slice_: str) -> str:
        """Give the folder of a slice in the tree of control groups."""
        parts = slice_.removesuffix(".slice").split("-")
        return "/".join("-".join(parts[: n + 1]) + ".slice" for n in range(len(parts)))


def rank_properties(order: LaunchOrder, words: Sequence[str], directory: str, slice_: str) -> list[Property]:
    """Say how systemd is to run a rank; `words` are its first program and what it is told, started in `directory`."""
    open_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = [sys.executable, "-I", "-S", *words]
    return [
        ("Description", Variant("s", f"dlroverd rank {order.key}")),
        ("Slice", Variant("s", slice_)),
        ("Type", Variant("s", "exec")),
        # The unit keeps how the rank ended until the daemon has it; a unit that is collected reads as a success.
        ("RemainAfterExit", Variant("b", True)),
        ("ExecStart", Variant("a(sasb)", [[program[0], [word.replace("$", "$$") for word in program], False]])),
        ("WorkingDirectory", Variant("s", directory)),
        ("TimeoutStartUSec", Variant("t", _microseconds(START_S))),
        ("TimeoutStopUSec", Variant("t", _microseconds(order.grace_s))),
        # TERM to all, as torchrun sends it to the rank's process group: a shell would hold it back from its Python.
        ("KillMode", Variant("s", "control-group")),
        # Data loaders and RDMA need more than a service's defaults.
        ("LimitNOFILE", Variant("t", open_files)),
        ("LimitMEMLOCK", Variant("t", _UNLIMITED)),
        ("TasksMax", Variant("t", _UNLIMITED)),  # its role's slice has the limit
        ("MemoryAccounting", Variant("b", True)),
        # A rank that lost one of its processes does not train on: it ends whole, and at once.
        ("OOMPolicy", Variant("s", "kill")),
        ("OOMScoreAdjust", Variant("i", order.resources.oom_score_adjust)),
        *_placement(order.resources),
        *_devices(order.device_nodes),
    ]


def role_properties(resources: Resources) -> list[Property]:
    """Say what all ranks of a role on this node may take together: empty if nothing is limited."""
    limits: list[Property] = []
    if resources.memory_bytes:
        # Without swap: else the limit is met by swapping, which no training survives.
        limits += [("MemoryMax", Variant("t", resources.memory_bytes)), ("MemorySwapMax", Variant("t", 0))]
    if resources.tasks_max:
        limits.append(("TasksMax", Variant("t", resources.tasks_max)))
    return limits


def bits(numbers: str) -> bytes:
    """Turn a list such as `0-7,16` into a mask, bit 0 of byte 0 first."""
    mask = 0
    for part in numbers.split(","):
        low, _, high = part.partition("-")
        for number in range(int(low), int(high or low) + 1):
            mask |= 1 << number
    return mask.to_bytes(mask.bit_length() // 8 + 1, "little")


def _placement(resources: Resources) -> list[Property]:
    placement: list[Property] = []
    if resources.cpus:
        placement.append(("CPUAffinity", Variant("ay", bits(resources.cpus))))
    if resources.numa_nodes:
        placement += [
            ("NUMAPolicy", Variant("i", _MPOL_BIND)),
            ("NUMAMask", Variant("ay", bits(resources.numa_nodes))),
        ]
    return placement


def _devices(nodes: tuple[str, ...] | None) -> list[Property]:
    if nodes is None:
        return []
    allowed = [[node, "rwm"] for node in (*nodes, *_NETWORK_DEVICES)]
    return [("DevicePolicy", Variant("s", "closed")), ("DeviceAllow", Variant("a(ss)", allowed))]


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)


# ---- what a service's properties say


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How a rank's main process goes, of the D-Bus properties of its service. Times are the wall clock, seconds."""

    pid: int
    started_at: float
    exited_at: float
    code: int | None
    signal: int | None
    status: int
    result: str
    ended: bool

    @classmethod
    def of(cls, properties: Mapping[str, Any]) -> "ServiceState":
        """Read them; those not known yet are of a service that has not begun."""
        how, status = properties.get("ExecMainCode", 0), properties.get("ExecMainStatus", 0)
        result = properties.get("Result", "success")
        exited = how == os.CLD_EXITED
        return cls(
            pid=properties.get("ExecMainPID", 0),
            started_at=properties.get("ExecMainStartTimestamp", 0) / 1e6,
            exited_at=properties.get("ExecMainExitTimestamp", 0) / 1e6,
            code=status if exited else None,
            signal=status if how and not exited else None,
            status=status,
            result=result,
            ended=how != 0 or (result != "success" and not properties.get("MainPID", 0)),
        )


def launch_fault(state: ServiceState, unit: str) -> str:
    """Say why systemd did not get as far as the rank's first program."""
    if state.code in _REFUSED:
        return _REFUSED[state.code]
    if state.result == "timeout":
        return f"systemd could not start it within {START_S:.0f} s; `journalctl -u {unit}` may say why"
    return f"systemd could not start it ({state.result}, status {state.status}); `journalctl -u {unit}` says why"
