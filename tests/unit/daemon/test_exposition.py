"""What Prometheus is shown is bounded, however large the fleet is, and docs/metrics.md says what it is."""

from dataclasses import replace
from typing import Any

from dlroverd_agent.monitors import exposition
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from dlroverd.core.desired import desired
from dlroverd.core.handle import handle
from dlroverd.core.records import GrantRecord, NodeRecord
from dlroverd.daemon import metrics
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.limits import Limits
from dlroverd.model.metrics import ALL, BY_NAME
from dlroverd.model.node import NodeState
from dlroverd.model.telemetry import Sample, Telemetry
from dlroverd.model.view import SinkView
from dlroverd.runtime.runtime import Runtime
from tests.unit.daemon.shown import PAGE, idle_monitors, updated, with_runtime
from tests.unit.runtime import fleet

NODES, JOBS = 10_000, 1_000


def test_the_page_is_fresh() -> None:
    text = PAGE.read_text()
    assert updated(text) == text, "run: python -m tests.unit.daemon.shown"


def test_names_are_unique_and_end_in_their_unit() -> None:
    assert len(BY_NAME) == len(ALL)
    for metric in ALL:
        assert metric.name.startswith(f"{metric.subject}_")
        assert metric.least < metric.most
    plain = {metric.name for metric in ALL if not metric.unit}
    counted = {"ecc_corrected", "ecc_uncorrected", "rows_remapped", "nvlink_errors", "pcie_replays"}
    numbers = {f"device_{name}" for name in (*counted, "pcie_generation", "pcie_lanes", "faults")}
    assert plain == {"host_load", "host_processes", "rank_step", "rank_loss", *numbers}


def values(families: list[Metric], name: str) -> dict[tuple[str, ...], float]:
    (family,) = (each for each in families if each.name == f"dlroverd_{name}")
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def large(runtime: Runtime) -> list[Metric]:
    """Fill a daemon's state, and collect."""
    state = runtime.state
    handle(state, [fleet.hello("n0")], 1.0, Limits())
    template: NodeRecord = state.nodes["n0"]
    for number in range(1, NODES):
        record = replace(template, id=f"n{number}", state=NodeState.READY if number % 2 else NodeState.LOST)
        state.put(state.nodes, record.id, record)
    for number in range(JOBS):
        handle(state, [inp.Submit(request_id=f"r{number}", spec=fleet.spec())], 1.0, Limits(max_jobs=JOBS))
        key = GangKey(number + 1, "trainer", 0)
        grant = GrantRecord(slots=1 + number % 7, devices=(), group_rank=0, first_rank=0)
        state.put(state.grants, (f"n{number}", key), grant)
    assert desired(state, "n1").position == state.m.position
    return list(metrics.families(runtime, 0.25))


def test_the_daemons_page_does_not_grow_with_the_fleet() -> None:
    families = with_runtime(large)
    assert sum(len(family.samples) for family in families) < 3 * metrics.MOST_JOBS + 200
    assert values(families, "nodes")["lost",] == NODES / 2 - 1
    assert len(values(families, "job_restarts")) == metrics.MOST_JOBS
    assert values(families, "jobs_without_series") == {(): JOBS - metrics.MOST_JOBS}
    assert values(families, "event_loop_lag_seconds") == {(): 0.25}


def test_what_the_daemon_counts_of_itself_is_shown() -> None:
    def busy(runtime: Runtime) -> list[Metric]:
        runtime.meters.beats = 7
        for took_s in (0.0005, 0.003, 0.003, 9.0):
            runtime.meters.turn(took_s)
        runtime.telemetry.take("n1", 1e9, [("made_up", 1.0, ""), ("host_load", 1.0, "")], 1e9)
        return list(metrics.families(runtime, 0.0))

    families = with_runtime(busy)
    assert values(families, "beats") == {(): 7.0}
    turns = values(families, "turn_seconds")
    assert [turns[end,] for end in ("0.001", "0.0025", "0.005", "5.0", "+Inf")] == [1.0, 1.0, 3.0, 3.0, 4.0]
    assert values(families, "telemetry_dropped") == {("unknown",): 1.0}
    assert values(families, "telemetry_readings") == {(): 1.0}


def test_each_sink_is_shown_by_how_far_it_is() -> None:
    far: dict[str, Any] = {"plugin": "kafka", "health": "ok", "start": "oldest", "oldest": 1, "newest": 9}
    behind = SinkView(name="bus", cursor=4, lag_records=5, lag_s=2.5, delivered=40, retries=3, lost=1, **far)
    families = list(metrics._of_sinks([behind, SinkView(name="audit", cursor=9, dead_letters=2, **far)]))
    assert values(families, "sink_lag_records") == {("bus",): 5.0, ("audit",): 0.0}
    assert values(families, "sink_lag_seconds")["bus",] == 2.5
    assert values(families, "sink_dead_letters") == {("bus",): 0.0, ("audit",): 2.0}
    assert values(families, "sink_lost_records")["bus",] == 1.0
    assert (values(families, "sink_delivered")["bus",], values(families, "sink_retries")["bus",]) == (40.0, 3.0)


def test_an_agents_page_is_bounded_and_has_neither_rounds_nor_pids() -> None:
    old, new = RankKey(1, "trainer", 0, 1, 0), RankKey(1, "trainer", 0, 2, 0)
    devices = [Sample(metric="device_busy_ratio", value=0.5, device=f"GPU-{n}") for n in range(1000)]
    own = [Sample(metric=f"user.g{n}", value=1.0, rank=new) for n in range(1000)]
    ranks = [Sample(metric="rank_step", value=float(key.round), rank=key) for key in (old, new)]
    families = list(exposition.families(Telemetry(at=1.0, samples=(*devices, *own, *ranks))))
    assert len(values(families, "device_busy_ratio")) == len(values(families, "rank_user_gauge")) == 256
    assert values(families, "rank_step") == {("1", "trainer", "0", "0"): 2.0}
    assert values(families, "agent_readings_without_series") == {(): 2 * 744.0}


def test_names_of_scripts_and_devices_cannot_break_the_page() -> None:
    odd = 'a"b\\c\nd'
    samples = (Sample(metric="device_busy_ratio", value=0.5, device=odd), Sample(metric="host_load", value=1.5))

    class Given(CollectorRegistry):
        def collect(self) -> list[Metric]:
            return [
                *exposition.families(Telemetry(at=1.0, samples=samples)),
                *exposition.own(idle_monitors(), True, {"devices": False, "kernel_log": True}, 0),
            ]

    read = {each.name: each for each in text_string_to_metric_families(generate_latest(Given()).decode())}
    assert read["dlroverd_device_busy_ratio"].samples[0].labels == {"device": odd}
    assert read["dlroverd_host_load"].samples[0].value == 1.5
    up = {sample.labels["monitor"]: sample.value for sample in read["dlroverd_agent_monitor_up"].samples}
    assert up == {"host": 1.0, "devices": 0.0, "kernel_log": 1.0}
    assert all(family.documentation and family.type != "unknown" for family in read.values())
