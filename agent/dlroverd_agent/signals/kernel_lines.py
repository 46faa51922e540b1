"""What lines of the kernel's log say of the host's health. Pure; a line that says nothing of it is None.

Patterns are tried at the beginning of a line: further on it may hold what a program chose, such as its name.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from dlroverd.model.signal import MOST_DETAIL

# linux/drivers/pci prints domain:bus:slot.function, NVIDIA's driver leaves the last part out.
_PCI = r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}"
_DRIVER = rf"\S+ {_PCI}\.\d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one line says: a signal's name; of which part of the host, or which device on the PCI bus; of a process."""

    name: str
    detail: str
    part: str = ""
    pci: str = ""
    pid: int = 0
    count: int = 1


@dataclass(frozen=True, slots=True)
class _Pattern:
    pattern: re.Pattern[str]
    name: str | Callable[[re.Match[str]], str]


def _of(name: str | Callable[[re.Match[str]], str], *patterns: str) -> tuple[_Pattern, ...]:
    return tuple(_Pattern(re.compile(pattern), name) for pattern in patterns)


def _link(match: re.Match[str]) -> str:
    return "link.down" if (match["state"] or "").lower() in ("down", "un") else "link.up"


# Groups: `part`, `pci`, `pid`, `count` are as in Heard.
_PATTERNS: tuple[_Pattern, ...] = (
    # "Xid (PCI:0000:41:00): 79, pid=1234, ..."; older drivers leave "PCI:" out, or write pid='<unknown>'.
    *_of(
        lambda match: f"xid.{int(match['number'])}",
        rf"NVRM: Xid \((?:PCI:)?(?P<pci>{_PCI})\): (?P<number>\d+)(?:, pid='?(?P<pid>\d+))?",
    ),
    *_of(
        "oom",
        r"(?:Memory cgroup out|Out) of memory(?: \([^)]*\))?: Kill(?:ed)? process (?P<pid>\d+) \((?P<part>.{1,15}?)\)",
    ),
    *_of(
        "mce.uncorrected",
        r"mce: Uncorrected hardware memory error",
        r"mce: \[Hardware Error\]: CPU \d+: Machine Check Exception",
        r"(?:\{\d+\})?\[Hardware Error\]: event severity: (?:fatal|recoverable)",
        r"\[Hardware Error\]: Uncorrected",
        r"EDAC \w+: (?P<count>\d{1,9}) UE .*? on (?P<part>\S+)",
        r"Memory failure: 0x[0-9a-f]+: ",
    ),
    *_of(
        "mce.corrected",
        r"mce: \[Hardware Error\]: Machine check events logged",
        r"(?:\{\d+\})?\[Hardware Error\]: event severity: corrected",
        r"EDAC \w+: (?P<count>\d{1,9}) CE .*? on (?P<part>\S+)",
    ),
    *_of(
        "pcie.fatal",
        rf"pcieport {_PCI}\.\d: (?:AER|DPC): .*Uncorrect\w+ \(Fatal\).*?(?P<part>{_PCI}\.\d)?$",
        rf"\S+ (?P<part>{_PCI}\.\d): PCIe Bus Error: severity=Uncorrect\w+ \(Fatal\)",
    ),
    *_of(
        "nic.failed",
        rf"mlx5_core (?P<part>{_PCI}\.\d): poll_health:\d+:\(pid \d+\): device's health compromised",
        rf"mlx5_core (?P<part>{_PCI}\.\d): .*Health issue observed, .*severity\([0-3]\)",
        rf"mlx5_core (?P<part>{_PCI}\.\d): .*Detected insufficient power on the PCIe slot",
        r"NETDEV WATCHDOG: (?P<part>\S+) \(\w*\): transmit queue \d+ timed out",
        rf"{_DRIVER} (?P<part>\S+): NETDEV WATCHDOG: .*transmit queue \d+ timed out",
    ),
    *_of(
        _link,
        rf"{_DRIVER} (?P<part>\S+): (?:\S+: )?(?:\S+ )?(?:NIC )?Link (?:is )?(?P<state>[Dd]own|[Uu]p)\b",
        r"(?P<part>[a-z]\w{1,14}): (?:\S+ )?(?:NIC )?Link (?:is )?(?P<state>[Dd]own|[Uu]p)\b",
        rf"mlx5_core (?P<part>{_PCI}\.\d): Port module event: module \d+, Cable (?P<state>un)?plugged",
        r"bond\w*: \(slave (?P<part>\S+)\): link status definitely (?P<state>down|up)",
        r"IPv6: ADDRCONF\(NETDEV_CHANGE\): (?P<part>\S+): link becomes ready(?P<state>)",
    ),
    *_of(
        "fs.read_only",
        r"EXT4-fs \((?P<part>\S+?)\): Remounting filesystem read-only",
        r"XFS \((?P<part>\S+?)\): .*(?:[Ss]hutting down filesystem|Filesystem has been shut down)",
        r"BTRFS info \(device (?P<part>\S+?)[:)].*forced readonly",
    ),
    *_of(
        "fs.error",
        r"EXT4-fs error \(device (?P<part>\S+?)\)",
        r"XFS \((?P<part>\S+?)\): (?:Metadata corruption|Corruption|metadata I/O error|log I/O error)",
        r"BTRFS (?:error|critical) \(device (?P<part>\S+?)[:)]",
    ),
    *_of(
        "disk.error",
        r"(?:blk_update_request: |print_req_error: )?"
        r"(?:critical medium error|critical target error|I/O error), dev (?P<part>\S+?),",
        r"Buffer I/O error on dev(?:ice)? (?P<part>\S+?),",
        r"nvme (?P<part>nvme\d+): controller is down; will reset",
        r"nvme (?P<part>nvme\d+): I/O (?:tag )?\d+ .*timeout",
    ),
    *_of("nfs.away", r"nfs: server (?P<part>\S+) not responding"),
    *_of("nfs.back", r"nfs: server (?P<part>\S+) OK"),
    *_of(
        "kernel.stuck",
        r"INFO: task (?P<part>.{1,15}?):(?P<pid>\d+) blocked for more than \d+ seconds",
        r"watchdog: BUG: soft lockup - CPU#\d+ stuck for",
        r"rcu: INFO: rcu_\w+ (?:self-)?detected stall",
    ),
)


def read(line: str) -> Heard | None:
    """Tell what a line says of the host's health."""
    for each in _PATTERNS:
        match = each.pattern.match(line)
        if match is not None:
            return _heard(each, match, line)
    return None


def _heard(pattern: _Pattern, match: re.Match[str], line: str) -> Heard:
    said = {key: value for key, value in match.groupdict().items() if value}
    name = pattern.name if isinstance(pattern.name, str) else pattern.name(match)
    printable = "".join(each if each.isprintable() else " " for each in line.strip())
    return Heard(
        name=name,
        detail=printable[:MOST_DETAIL],
        part=said.get("part", "") if name not in _OF_PROCESSES else "",
        pci=said.get("pci", "").lower(),
        pid=int(said.get("pid", 0)),
        count=int(said.get("count", 1)),
    )


# A program's name is no part of the host.
_OF_PROCESSES = frozenset({"oom", "kernel.stuck"})
