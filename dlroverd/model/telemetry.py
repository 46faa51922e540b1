"""Readings of hosts, devices and ranks. They never enter the log: each may be lost, and a newer one replaces it."""

from dataclasses import dataclass

from dlroverd.model.ids import RankKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One reading of `metric` (a name of dlroverd/model/metrics.py, in its unit) of a device, a rank, else the host."""

    metric: str
    value: float
    device: str = ""
    rank: RankKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What a node's agent read at `at` (wall clock, seconds). What could not be read is absent: unknown is no zero."""

    at: float
    samples: tuple[Sample, ...] = ()
