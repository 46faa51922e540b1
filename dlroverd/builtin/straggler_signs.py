"""What goes with a slow rank: the readings in which it, its device or its host is worse than the others."""

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dlroverd.model.diagnosis import Reading, WorldView


@dataclass(frozen=True, slots=True)
class _Sign:
    """A metric that is worse by at least `least`, in its unit, and by `share` of the others' median."""

    metric: str
    name: str
    words: str
    least: float
    worse: int = 1
    share: float = 0.2


_OF_RANK = (_Sign("rank_cpu_wait_ratio", "waiting for a CPU", "it waits for a CPU", 0.05),)
_OF_DEVICE = (
    _Sign("device_clock_hertz", "the clock of its device", "its device runs at", 1e6, worse=-1, share=0.05),
    _Sign(
        "device_memory_clock_hertz",
        "the clock of its device's memory",
        "its device's memory runs at",
        1e6,
        worse=-1,
        share=0.05,
    ),
    _Sign("device_temperature_celsius", "the temperature of its device", "its device has", 8.0, share=0.1),
    _Sign("device_faults", "faults of its device", "its device is in states of fault", 1.0),
    _Sign("device_pcie_lanes", "the lanes of its device's bus", "the bus of its device has lanes", 1.0, worse=-1),
    _Sign(
        "device_pcie_generation",
        "the generation of its device's bus",
        "the bus of its device runs by generation",
        1.0,
        worse=-1,
    ),
)
_OF_HOST = (
    _Sign("host_cpu_steal_ratio", "CPU time taken by other guests", "other guests of its machine take CPU time", 0.02),
    _Sign("host_cpu_ratio", "a busy host", "the CPUs of its host are busy", 0.2),
    _Sign("host_network_errors_per_second", "network errors", "its host has network errors", 0.1),
    _Sign("host_infiniband_errors_per_second", "InfiniBand errors", "its host has errors of InfiniBand", 0.1),
    _Sign("host_swap_used_bytes", "swapping", "its host swaps", 64 * 2.0**20),
)
_MOST = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What is worse, and by how much."""

    name: str
    said: str


def signs(view: WorldView, node: str, ranks: frozenset[int]) -> tuple[Seen, ...]:
    """Say in which readings some ranks of a node differ from those of others; of hosts, if there are several."""
    slow = [rank for rank in view.ranks if rank.rank in ranks]
    others = [rank for rank in view.ranks if rank.rank not in ranks]
    devices = {uuid: readings for each in view.nodes for uuid, readings in each.devices.items()}
    own = {uuid for rank in slow for uuid in rank.devices}
    hosts = {each.node: each.readings for each in view.nodes}
    said = [
        *_differ(_OF_RANK, [rank.readings for rank in slow], [rank.readings for rank in others]),
        *_differ(_OF_DEVICE, [devices.get(u, {}) for u in own], [devices[u] for u in devices if u not in own]),
        *_differ(_OF_HOST, [hosts.get(node, {})], [hosts[name] for name in hosts if name != node]),
    ]
    return tuple(said[:_MOST])


_Readings = Mapping[str, Reading]


def _differ(wanted: tuple[_Sign, ...], these: list[_Readings], others: list[_Readings]) -> Iterator[Seen]:
    for sign in wanted:
        mine, theirs = _middle(sign.metric, these), _middle(sign.metric, others)
        if mine is None or theirs is None:
            continue
        worse = (mine - theirs) * sign.worse
        if worse >= sign.least and worse >= sign.share * abs(theirs):
            said = f"{sign.words}: {_shown(sign.metric, mine)}, the others {_shown(sign.metric, theirs)}"
            yield Seen(sign.name, said)


def _middle(metric: str, of: list[_Readings]) -> float | None:
    known = [value for each in of if metric in each and math.isfinite(value := each[metric].value)]
    return statistics.median(known) if known else None


def _shown(metric: str, value: float) -> str:
    if metric.endswith("_ratio"):
        return f"{value * 100:.0f} %"
    if metric.endswith("_hertz"):
        return f"{value / 1e6:.0f} MHz"
    if metric.endswith("_celsius"):
        return f"{value:.0f} °C"
    if metric.endswith("_bytes"):
        return f"{value / 2**30:.1f} GiB"
    return f"{value:.3g}/s" if metric.endswith("_per_second") else f"{value:g}"
