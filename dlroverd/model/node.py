"""Hosts: what is known of them and the states they go through."""

from dataclasses import dataclass, field
from enum import StrEnum


class NodeState(StrEnum):
    """Where a node is in its life.

    `foreign`: its agent follows another log (this daemon's was wiped or restored): its ranks are orphans,
    nothing is placed there until a person says `node adopt`.
    """

    JOINING = "joining"
    READY = "ready"
    FOREIGN = "foreign"
    UNREACHABLE = "unreachable"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One accelerator, by the identity that survives a reboot; `serial` is what is printed on it, "" if unknown."""

    uuid: str
    model: str
    memory_bytes: int
    serial: str = ""


class DeviceState(StrEnum):
    """Whether an accelerator can be granted. `busy`: a process not ours is on it, or the driver is silent."""

    OK = "ok"
    BUSY = "busy"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceObservation:
    """What an agent sees of one accelerator; `detail` says whose process it is, or how it was lost."""

    uuid: str
    state: DeviceState
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDomains:
    """Which domains a node is in, as kinds and names: (("rack", "r1"), ("switch", "s1")). It need not be known yet."""

    node: str
    domains: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What an agent says of its host at hello.

    `slots` is how many ranks fit at once: its devices, else its CPUs, unless the agent's configuration
    says otherwise. `port_low..port_high` (inclusive) is where MASTER_PORT comes from. `address` is the first of
    `addresses`, all by which other nodes may reach this one, the likeliest first. `peer_port` is where its agent
    answers those of other nodes; 0: it answers none, and takes part in no check of a world. `keeps_leases`: its agent
    knows them (`RoleSpec.lease_s`). `labels` are what its configuration says of it; a feature has the value "".
    `makes_checkups`: its agent has node checks, and runs them when asked.
    """

    hostname: str
    address: str
    cpus: int
    memory_bytes: int
    slots: int
    devices: tuple[Device, ...] = ()
    port_low: int = 20000
    port_high: int = 29999
    agent_version: str = ""
    addresses: tuple[str, ...] = ()
    peer_port: int = 0
    keeps_leases: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    makes_checkups: bool = False
