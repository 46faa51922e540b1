"""What an agent shows Prometheus: its host's, devices' and ranks' readings, and how it is itself.

Ranks have job, role, gang and rank for labels, never a round or a pid: a restarted rank goes on with its series.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from dlroverd.model.metrics import ALL, BY_NAME, DEVICE, JOB, RANK, USER_PREFIX
from dlroverd.model.telemetry import Sample, Telemetry
from dlroverd.protocol.scrape import Endpoint
from dlroverd_agent import __version__
from dlroverd_agent.agent import Agent
from dlroverd_agent.devices.monitor import DeviceMonitor
from dlroverd_agent.monitors.monitors import Monitors

PREFIX = "dlroverd_"
# A host has 8 or 16 devices, and a rank for each or for each CPU. Beyond that, and beyond so many gauges of scripts,
# readings are only counted.
MOST_SERIES = 256
_RANK_LABELS = ("job", "role", "gang", "rank")


class Exposition:
    """The endpoint of an agent."""

    def __init__(self, agent: Agent, devices: DeviceMonitor) -> None:
        self._agent = agent
        self._devices = devices
        self._process = ProcessCollector(registry=None)
        self.endpoint = Endpoint(self._collect)

    def _answering(self) -> dict[str, bool]:
        return {"devices": not self._devices.silence, "kernel_log": not self._agent.signals.problem}

    async def _collect(self) -> Iterable[Metric]:
        agent = self._agent
        kept_bytes = await asyncio.to_thread(agent.events.kept_bytes)
        ours = own(agent.monitors, agent.connected, self._answering(), kept_bytes)
        return [*families(agent.monitors.newest), *ours, *self._process.collect()]


def own(monitors: Monitors, connected: bool, answering: Mapping[str, bool], kept_bytes: int) -> Iterator[Metric]:
    """Give how the agent itself is."""
    build = GaugeMetricFamily(PREFIX + "agent_build_info", "The release that runs; always 1.", labels=["version"])
    build.add_metric([__version__], 1.0)
    yield build
    has_session = "1 while the agent has a session with the daemon."
    yield GaugeMetricFamily(PREFIX + "agent_connected", has_session, value=float(connected))
    up = GaugeMetricFamily(PREFIX + "agent_monitor_up", "1 while what it reads answers.", labels=["monitor"])
    up.add_metric(["host"], float(not monitors.problem))
    for monitor, answers in answering.items():
        up.add_metric([monitor], float(answers))
    yield up
    dropped = "Readings that could not be true, or were too many, since the agent's start."
    yield CounterMetricFamily(PREFIX + "agent_readings_dropped", dropped, value=monitors.dropped)
    spool = "Events of ranks and of the agent that are kept for the daemon."
    yield GaugeMetricFamily(PREFIX + "agent_spool_bytes", spool, value=kept_bytes)
    read_at = "When the readings here were made; 0 before the first."
    yield GaugeMetricFamily(PREFIX + "agent_reading_timestamp_seconds", read_at, value=monitors.newest.at)


def families(telemetry: Telemetry) -> Iterator[Metric]:
    """Give the readings as metrics, at most MOST_SERIES of each, and how many were left out."""
    by_name: dict[str, list[Sample]] = {}
    for sample in telemetry.samples:
        name = sample.metric if sample.metric in BY_NAME else USER_PREFIX
        by_name.setdefault(name, []).append(sample)
    left_out = 0
    for metric in (each for each in ALL if each.subject != JOB):
        samples = by_name.get(metric.name, [])
        left_out += max(0, len(samples) - MOST_SERIES)
        labels: tuple[str, ...] = (
            ("device",) if metric.subject == DEVICE else _RANK_LABELS if metric.subject == RANK else ()
        )
        yield _family(metric.name, f"{metric.meaning[:1].upper()}{metric.meaning[1:]}.", labels, samples[:MOST_SERIES])
    own = by_name.get(USER_PREFIX, [])
    left_out += max(0, len(own) - MOST_SERIES)
    labels = ("name", *_RANK_LABELS)
    yield _family("rank_user_gauge", "What scripts report under names of their own.", labels, own[:MOST_SERIES])
    yield GaugeMetricFamily(
        PREFIX + "agent_readings_without_series",
        f"Readings that have no series here, beyond {MOST_SERIES} of a metric.",
        value=left_out,
    )


def _family(name: str, help_: str, labels: Sequence[str], samples: Iterable[Sample]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, help_, labels=labels)
    shown: dict[tuple[str, ...], float] = {}
    for sample in samples:
        key = sample.rank
        values = {"device": sample.device, "name": sample.metric.removeprefix(USER_PREFIX)}
        if key is not None:
            values |= {"job": str(key.job), "role": key.role, "gang": str(key.gang), "rank": str(key.rank)}
        # Of two rounds of a rank the newer comes later, and is the one that counts.
        shown[tuple(values.get(label, "") for label in labels)] = sample.value
    for label_values, value in shown.items():
        family.add_metric(label_values, value)
    return family
