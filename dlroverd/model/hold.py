"""Holds: what keeps a node out of use, in whose name, and why. A node returns when every owner has let go."""

from dataclasses import dataclass
from enum import StrEnum

# The owner of what automation holds. It never lifts what a person set; a person may lift what it set.
AUTOMATION = "dlroverd"


class HoldKind(StrEnum):
    """How far a node is out of use.

    `cordon`: no new jobs, those there go on and restart in place. `drain`: it is to become empty. `maintenance`: a
    drain, after which it may be rebooted. `quarantine`: it is doubted, and its jobs restart elsewhere.
    """

    CORDON = "cordon"
    DRAIN = "drain"
    MAINTENANCE = "maintenance"
    QUARANTINE = "quarantine"


class DrainMode(StrEnum):
    """When the jobs of a node leave it: as they end or restart by themselves, at their next checkpoint, or now."""

    FINISH = "finish"
    AT_CHECKPOINT = "at_checkpoint"
    NOW = "now"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """What happens to a node that is empty.

    `reboot`: its host is rebooted, if it still runs boot `boot_id`. `until_checked`: the hold ends by itself once the
    host has another boot, by whomever, and all its `devices`.
    """

    reboot: bool
    until_checked: bool
    boot_id: str
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One owner's hold on a node; an owner has at most one of each kind there.

    `request` is the request that first set it. From `deadline` on (0: none) jobs are moved at once, whatever `mode`.
    """

    owner: str
    kind: HoldKind
    reason: str
    since: float
    request: str = ""
    mode: DrainMode = DrainMode.FINISH
    deadline: float = 0.0
    maintenance: Maintenance | None = None
