"""What the daemon shows Prometheus: its own state and that of jobs and nodes, in a bounded number of series.

No host, device or rank has a series here, for each agent shows its own; of jobs the largest have. So a scrape costs the
same for ten nodes and for ten thousand, but for counting them.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from dlroverd import __version__
from dlroverd.api.goodput import goodput_view
from dlroverd.core.state import State
from dlroverd.model.fault import CauseKind
from dlroverd.model.job import JobState
from dlroverd.model.node import NodeState
from dlroverd.model.view import SinkView
from dlroverd.protocol.scrape import Endpoint
from dlroverd.runtime.meters import TURN_BOUNDS_S, Meters
from dlroverd.runtime.runtime import Runtime

# Of those that have nodes, by slots: each has three series. The others are told together.
MOST_JOBS = 200
_LAG_EVERY_S = 1.0
_LAG_WINDOW = 60

PREFIX = "dlroverd_"


class Exposition:
    """The daemon's endpoint, and what it measures for that alone."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._process = ProcessCollector(registry=None)
        self._lags: deque[float] = deque([0.0], maxlen=_LAG_WINDOW)
        self.endpoint = Endpoint(self._collect)

    async def watch_loop(self) -> None:
        """Measure by how much the loop is late, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._lags.append(max(0.0, loop.time() - due))

    async def _collect(self) -> Iterable[Metric]:
        return [*families(self._runtime, max(self._lags)), *self._process.collect()]


def families(runtime: Runtime, lag_s: float) -> Iterator[Metric]:
    """Give all metrics but those of the process, which are Prometheus's own for every program."""
    yield from _of_state(runtime.state)
    yield from _of_jobs(runtime)
    yield from _of_log(runtime)
    yield from _of_meters(runtime.meters)
    yield gauge("event_loop_lag_seconds", "The most by which the event loop was late within a minute.", lag_s)
    yield from _of_telemetry(runtime)
    yield from _of_plugins(runtime)
    yield from _of_sinks(runtime.sinks())


def gauge(name: str, help_: str, value: float) -> Metric:
    """Make a gauge without labels."""
    return GaugeMetricFamily(PREFIX + name, help_, value=value)


def counter(name: str, help_: str, value: float) -> Metric:
    """Make a counter without labels; its name ends in _total by itself."""
    return CounterMetricFamily(PREFIX + name, help_, value=value)


def labelled(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    help_: str,
    label: str,
    values: Mapping[str, float],
) -> Metric:
    """Make a metric with one label."""
    family = kind(PREFIX + name, help_, labels=[label])
    for of, value in values.items():
        family.add_metric([of], value)
    return family


def _of_state(state: State) -> Iterator[Metric]:
    jobs, nodes = (
        Counter(job.state for job in state.jobs.values()),
        Counter(node.state for node in state.nodes.values()),
    )
    build = GaugeMetricFamily(PREFIX + "build_info", "The release that runs; always 1.", labels=["version"])
    build.add_metric([__version__], 1.0)
    yield build
    yield labelled(
        GaugeMetricFamily, "jobs", "Jobs that are kept, by state.", "state",
        {each.value: jobs[each] for each in JobState},
    )  # fmt: skip
    yield labelled(
        GaugeMetricFamily, "nodes", "Nodes by state.", "state", {each.value: nodes[each] for each in NodeState}
    )
    yield gauge("nodes_usable", "Nodes on which jobs may be placed.", len(state.usable))
    yield gauge("nodes_held", "Nodes that somebody keeps out of use.", len(state.held))
    yield gauge("slots_used", "Slots that jobs have.", state.used.total())


def _of_jobs(runtime: Runtime) -> Iterator[Metric]:
    state, now = runtime.state, runtime.clock.now()
    shown = [job for job, _ in state.job_slots.most_common(MOST_JOBS)]
    goodput, restarts, pace = {}, {}, {}
    for job in sorted(shown):
        record, name = state.jobs[job], str(job)
        restarts[name] = float(record.restarts)
        if (share := goodput_view(state, record, now).goodput) is not None:
            goodput[name] = share
        series = [runtime.telemetry.of("", key).get("job_steps_per_second") for key in state.job_gangs.get(job, ())]
        if paces := [each.value for each in series if each is not None]:
            pace[name] = max(paces)
    yield labelled(
        GaugeMetricFamily, "job_goodput_ratio", "Share of its time with nodes that a job spent on steps that count.",
        "job", goodput,
    )  # fmt: skip
    yield labelled(CounterMetricFamily, "job_restarts", "Restarts of a job.", "job", restarts)
    yield labelled(GaugeMetricFamily, "job_steps_per_second", "Steps of a job over time.", "job", pace)
    yield gauge(
        "jobs_without_series",
        f"Jobs with nodes that have no series of their own here, beyond the {MOST_JOBS} with the most slots.",
        len(state.job_slots) - len(shown),
    )


def _of_sinks(sinks: Iterable[SinkView]) -> Iterator[Metric]:
    """Give how far each sink is; their number is that of the configuration."""
    by_name = {sink.name: sink for sink in sinks}
    gauges, counters = (
        {
            "sink_lag_records": ("Records of the log that a sink has still to take.", "lag_records"),
            "sink_lag_seconds": ("The age of the oldest event that a sink has still to take.", "lag_s"),
        },
        {
            "sink_delivered": ("Events that a sink took.", "delivered"),
            "sink_retries": ("Deliveries to a sink that failed.", "retries"),
            "sink_dead_letters": ("Events that a sink can never take.", "dead_letters"),
            "sink_lost_records": ("Records that were dropped from the log before a sink took them.", "lost"),
        },
    )
    for kind, metrics in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
        for name, (help_, field) in metrics.items():
            values = {of: float(getattr(sink, field)) for of, sink in by_name.items()}
            yield labelled(kind, name, help_, "sink", values)


def _of_log(runtime: Runtime) -> Iterator[Metric]:
    journal = runtime.journal
    yield gauge("log_position", "The newest durable record of the log.", journal.position)
    low = journal.low or bool(journal.full)
    yield gauge("log_space_low", "1 while the disk of the log has too little space for new jobs.", low)
    yield gauge("sessions", "Agents that are connected.", len(runtime.sessions.nodes()))


def _of_meters(meters: Meters) -> Iterator[Metric]:
    yield counter("beats", "Beats heard of agents.", meters.beats)
    yield counter("restarts", "Restarts of all jobs since the daemon's start.", meters.restarts)
    yield labelled(
        CounterMetricFamily, "incidents", "Incidents since the daemon's start, by the kind of their cause.", "cause",
        {each.value: meters.incidents[each.value] for each in CauseKind},
    )  # fmt: skip
    ends = [*(str(bound) for bound in TURN_BOUNDS_S), "+Inf"]
    yield HistogramMetricFamily(
        PREFIX + "turn_seconds",
        "How long turns with a record took, until it was durable and let out.",
        buckets=list(zip(ends, map(float, accumulate(meters.turns)), strict=True)),
        sum_value=meters.turns_s,
    )


def _of_telemetry(runtime: Runtime) -> Iterator[Metric]:
    store = runtime.telemetry
    yield gauge("telemetry_series", "Series of readings in memory.", store.series)
    yield gauge("telemetry_most_series", "How many there may be.", store.most_series)
    yield counter("telemetry_readings", "Readings taken of agents.", store.taken)
    yield labelled(
        CounterMetricFamily, "telemetry_dropped", "Readings not taken, by why; too_often and late count messages.",
        "reason", dict(sorted(store.dropped.items())),
    )  # fmt: skip


def _of_plugins(runtime: Runtime) -> Iterator[Metric]:
    views = runtime.host.inventory()
    yield labelled(
        GaugeMetricFamily, "plugin_up", "1 while a plugin takes calls.", "plugin",
        {view.name: float(view.health == "ok") for view in views},
    )  # fmt: skip
    yield labelled(
        CounterMetricFamily, "plugin_failures", "Calls and starts of a plugin that failed.", "plugin",
        {view.name: float(view.failures) for view in views},
    )  # fmt: skip
