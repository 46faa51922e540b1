"""Hosts: what is known of them and the states they go through."""

from dataclasses import dataclass
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
    """One accelerator, by the identity that survives a reboot."""

    uuid: str
    model: str
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What an agent says of its host at hello.

    `slots` is how many ranks fit at once: its devices, else its CPUs, unless the agent's configuration
    says otherwise. `port_low..port_high` (inclusive) is where MASTER_PORT comes from.
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
