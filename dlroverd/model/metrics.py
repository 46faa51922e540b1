"""Every metric there is: what agents read of their hosts, devices and ranks, and what the daemon makes of it for jobs.

A reading is a `Sample` (model/telemetry.py) under one of these names. Besides, a script may report gauges of its own,
as `user.<name>`, of its rank. All are gauges: what the kernel counts is read as a rate, so that a restart is no jump.
"""

import math
import re
from dataclasses import dataclass
from typing import Final, Literal

HOST, DEVICE, RANK, JOB = "host", "device", "rank", "job"
USER_PREFIX = "user."
# The most readings of one message: 16 devices and 256 ranks have fewer, and so do what their scripts report.
MOST_SAMPLES: Final = 4096

_USER = re.compile(r"user\.[A-Za-z0-9_.]{1,59}", re.ASCII)
_UNITS = ("_ratio", "_bytes_per_second", "_per_second", "_bytes", "_celsius", "_watts", "_hertz", "_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. What is not within `least` and `most` is no reading, but a broken sensor, driver or script."""

    name: str
    subject: Literal["host", "device", "rank", "job"]
    meaning: str
    most: float
    least: float = 0.0

    @property
    def unit(self) -> str:
        """Its unit, as the end of its name has it; "" for a plain number."""
        return next((unit.removeprefix("_") for unit in _UNITS if self.name.endswith(unit)), "")


_EXBIBYTE = 2.0**60
_NET_ERRORS = "packets with errors or dropped, in both directions, of the same interfaces"

ALL: Final = (
    Metric(name="host_cpu_ratio", subject="host", meaning="share of all CPUs' time that was not idle", most=1.0),
    Metric(
        name="host_cpu_steal_ratio", subject="host", meaning="share of all CPUs' time that other guests had", most=1.0
    ),
    Metric(name="host_load", subject="host", meaning="the load average over one minute", most=1e6),
    Metric(
        name="host_memory_used_bytes", subject="host", meaning="memory that programs cannot be given", most=_EXBIBYTE
    ),
    Metric(
        name="host_memory_available_bytes",
        subject="host",
        meaning="memory that programs can be given without swapping",
        most=_EXBIBYTE,
    ),
    Metric(name="host_memory_total_bytes", subject="host", meaning="memory of the host", most=_EXBIBYTE),
    Metric(name="host_swap_used_bytes", subject="host", meaning="swap space in use", most=_EXBIBYTE),
    Metric(
        name="host_disk_used_bytes",
        subject="host",
        meaning="used space of the file system that holds the agent's state_dir",
        most=_EXBIBYTE,
    ),
    Metric(
        name="host_disk_used_ratio",
        subject="host",
        meaning="the same as a share of what users without privileges may have",
        most=1.0,
    ),
    Metric(
        name="host_network_receive_bytes_per_second",
        subject="host",
        meaning="received by the host's Ethernet interfaces: the physical ones, else all but loopback",
        most=1e13,
    ),
    Metric(
        name="host_network_transmit_bytes_per_second",
        subject="host",
        meaning="sent by the same interfaces",
        most=1e13,
    ),
    Metric(
        name="host_network_packets_per_second",
        subject="host",
        meaning="packets of the same interfaces, in both directions",
        most=1e11,
    ),
    Metric(
        name="host_round_trip_seconds",
        subject="host",
        meaning="a packet's way to the hosts its ranks talk to by TCP, and back: the lower median (docs/stragglers.md)",
        most=1000.0,
    ),
    Metric(name="host_network_errors_per_second", subject="host", meaning=_NET_ERRORS, most=1e11),
    Metric(
        name="host_infiniband_receive_bytes_per_second",
        subject="host",
        meaning="received by the ports of RDMA adapters, by their own counters, which see what the kernel does not",
        most=1e13,
    ),
    Metric(
        name="host_infiniband_transmit_bytes_per_second", subject="host", meaning="sent by the same ports", most=1e13
    ),
    Metric(
        name="host_infiniband_packets_per_second",
        subject="host",
        meaning="packets of the same ports, in both directions",
        most=1e11,
    ),
    Metric(
        name="host_infiniband_errors_per_second",
        subject="host",
        meaning="packets with errors or discarded, in both directions, of the same ports",
        most=1e11,
    ),
    Metric(name="host_processes", subject="host", meaning="processes that there are", most=1e8),
    Metric(
        name="device_busy_ratio",
        subject="device",
        meaning="share of the driver's last sample period in which some work ran",
        most=1.0,
    ),
    Metric(name="device_memory_used_bytes", subject="device", meaning="memory of the device in use", most=_EXBIBYTE),
    Metric(
        name="device_temperature_celsius", subject="device", meaning="temperature of the chip", most=200.0, least=-50.0
    ),
    Metric(name="device_power_watts", subject="device", meaning="power drawn", most=1e5),
    Metric(name="device_clock_hertz", subject="device", meaning="clock of its processors", most=1e11),
    Metric(name="device_memory_clock_hertz", subject="device", meaning="clock of its memory", most=1e11),
    Metric(name="device_pcie_generation", subject="device", meaning="generation by which its bus runs now", most=20.0),
    Metric(name="device_pcie_lanes", subject="device", meaning="lanes that its bus has now", most=64.0),
    Metric(
        name="device_faults",
        subject="device",
        meaning="states it is in that it should not be in, such as too hot (docs/signals.md)",
        most=100.0,
    ),
    Metric(
        name="device_ecc_corrected",
        subject="device",
        meaning="errors in its memory since the driver was loaded, corrected",
        most=2.0**63,
    ),
    Metric(
        name="device_ecc_uncorrected",
        subject="device",
        meaning="errors in its memory since the driver was loaded that could not be corrected",
        most=2.0**63,
    ),
    Metric(
        name="device_rows_remapped",
        subject="device",
        meaning="rows of its memory that spare ones took the place of, ever",
        most=2.0**32,
    ),
    Metric(
        name="device_nvlink_errors", subject="device", meaning="errors of its NVLinks, recovered from", most=2.0**63
    ),
    Metric(name="device_pcie_replays", subject="device", meaning="transfers over its bus repeated", most=2.0**63),
    Metric(
        name="rank_cpu_ratio",
        subject="rank",
        meaning="CPU time of the rank's processes over time passed: 1 is one CPU kept busy",
        most=1e5,
    ),
    Metric(
        name="rank_memory_bytes",
        subject="rank",
        meaning="resident memory of the rank's processes, shared memory included, files' pages not",
        most=_EXBIBYTE,
    ),
    Metric(
        name="rank_spare_memory_bytes",
        subject="rank",
        meaning="resident memory of the process that waits to be the rank's next life (docs/warm-spares.md)",
        most=_EXBIBYTE,
    ),
    Metric(name="rank_step", subject="rank", meaning="the last training step seen", most=2.0**53),
    Metric(
        name="rank_cpu_wait_ratio",
        subject="rank",
        meaning="time that threads of its main process, all together, were ready and had no CPU, over time passed",
        most=1e5,
    ),
    Metric(
        name="rank_work_seconds",
        subject="rank",
        meaning="its own part of a step: until it began the last collective (docs/stragglers.md)",
        most=1e7,
    ),
    Metric(name="rank_step_seconds", subject="rank", meaning="how long a step takes", most=1e7),
    Metric(
        name="rank_loss",
        subject="rank",
        meaning="the loss, if the script reports a gauge of that name",
        most=1e300,
        least=-1e300,
    ),
    Metric(name="job_steps_per_second", subject="job", meaning="steps of the gang's world over time passed", most=1e6),
)
BY_NAME: Final = {metric.name: metric for metric in ALL}


def is_known(name: str) -> bool:
    """Tell whether agents may send a metric of that name."""
    metric = BY_NAME.get(name)
    return metric.subject != JOB if metric is not None else _USER.fullmatch(name) is not None


def is_sane(name: str, value: float) -> bool:
    """Tell whether a value of a metric can be true; a user's own need only be finite."""
    metric = BY_NAME.get(name)
    return math.isfinite(value) and (metric is None or metric.least <= value <= metric.most)
