"""What goes with a slow rank is named in its sentence, and told with both figures beside it."""

from dataclasses import replace

import pytest

from dlroverd.builtin.straggler import StragglerRule
from dlroverd.model.diagnosis import Conclusion, Reading, WorldNode, WorldRank, WorldView
from dlroverd.plugin_api.diagnosis import diagnose
from dlroverd.testing.conformance import diagnosis as conformance

SLOW = "n1"


def reading(value: float) -> Reading:
    return Reading(value=value, at=1e9, recent=(value,) * 5)


def world(metric: str = "", theirs: float = 0.0, its: float = 0.0) -> WorldView:
    """Make one of four nodes with a rank and a device each; the rank of n1 is slow, and `metric` is `its` there."""

    def of(node: str, subject: str) -> dict[str, Reading]:
        return {metric: reading(its if node == SLOW else theirs)} if metric.startswith(subject) else {}

    names = [f"n{number}" for number in range(4)]
    ranks = [
        WorldRank(
            rank=number,
            node=node,
            devices=(f"gpu-{node}",),
            readings={"rank_work_seconds": reading(0.3 if node == SLOW else 0.1), **of(node, "rank")},
        )
        for number, node in enumerate(names)
    ]
    nodes = [
        WorldNode(node=node, readings=of(node, "host"), devices={f"gpu-{node}": of(node, "device")}) for node in names
    ]
    return replace(conformance.world(), ranks=tuple(ranks), nodes=tuple(nodes))


def said(view: WorldView) -> Conclusion:
    (only,) = diagnose(StragglerRule(), view).conclusions
    assert (only.rank, only.node) == (1, SLOW)
    return only


@pytest.mark.parametrize(
    ("metric", "theirs", "its", "name", "sentence"),
    [
        ("rank_cpu_wait_ratio", 0.02, 0.61, "waiting for a CPU", "it waits for a CPU: 61 %, the others 2 %"),
        (
            "device_clock_hertz",
            1.98e9,
            1.1e9,
            "the clock of its device",
            "its device runs at: 1100 MHz, the others 1980 MHz",
        ),
        (
            "device_memory_clock_hertz",
            2.6e9,
            1.3e9,
            "the clock of its device's memory",
            "its device's memory runs at: 1300 MHz, the others 2600 MHz",
        ),
        (
            "device_temperature_celsius",
            61.0,
            88.0,
            "the temperature of its device",
            "its device has: 88 °C, the others 61 °C",
        ),
        ("device_faults", 0.0, 1.0, "faults of its device", "its device is in states of fault: 1, the others 0"),
        (
            "device_pcie_lanes",
            16.0,
            8.0,
            "the lanes of its device's bus",
            "the bus of its device has lanes: 8, the others 16",
        ),
        (
            "device_pcie_generation",
            5.0,
            1.0,
            "the generation of its device's bus",
            "the bus of its device runs by generation: 1, the others 5",
        ),
        (
            "host_cpu_steal_ratio",
            0.0,
            0.35,
            "CPU time taken by other guests",
            "other guests of its machine take CPU time: 35 %, the others 0 %",
        ),
        ("host_cpu_ratio", 0.3, 1.0, "a busy host", "the CPUs of its host are busy: 100 %, the others 30 %"),
        (
            "host_network_errors_per_second",
            0.0,
            12.5,
            "network errors",
            "its host has network errors: 12.5/s, the others 0/s",
        ),
        (
            "host_infiniband_errors_per_second",
            0.0,
            3.0,
            "InfiniBand errors",
            "its host has errors of InfiniBand: 3/s, the others 0/s",
        ),
        ("host_swap_used_bytes", 0.0, 2.0**31, "swapping", "its host swaps: 2.0 GiB, the others 0.0 GiB"),
    ],
)
def test_what_is_worse_there_is_named(metric: str, theirs: float, its: float, name: str, sentence: str) -> None:
    found = said(world(metric, theirs, its))
    assert found.sentence.endswith(f"each step takes 0.2 s longer; seen with it: {name}")
    assert found.evidence == (sentence,)


@pytest.mark.parametrize(
    ("metric", "theirs", "its"),
    [
        ("device_clock_hertz", 1.1e9, 1.98e9),
        ("device_temperature_celsius", 61.0, 66.0),
        ("host_cpu_steal_ratio", 0.35, 0.35),
        ("host_network_errors_per_second", float("nan"), 5.0),
    ],
)
def test_what_is_better_alike_or_unknown_is_not(metric: str, theirs: float, its: float) -> None:
    found = said(world(metric, theirs, its))
    assert found.sentence.endswith("each step takes 0.2 s longer")
    assert not found.evidence


def test_a_device_that_ranks_share_is_nobodys() -> None:
    view = world("device_clock_hertz", 1.98e9, 1.1e9)
    shared = replace(view, ranks=tuple(replace(each, devices=()) for each in view.ranks))
    assert not said(shared).evidence
