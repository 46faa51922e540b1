"""What an agent reads, from files as kernels write them, and what it drops."""

import asyncio
import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from dlroverd_agent.devices.monitor import DeviceMonitor
from dlroverd_agent.monitors.child import Readings
from dlroverd_agent.monitors.host import HostMonitor, MonitorError
from dlroverd_agent.monitors.monitors import Monitors
from dlroverd_agent.monitors.steps import StepTimes
from dlroverd_agent.progress import Step

from dlroverd.config.agent import AgentConfig
from dlroverd.model.ids import RankKey
from dlroverd.model.metrics import MOST_SAMPLES, is_known, is_sane
from dlroverd.model.telemetry import Sample, Telemetry

KEY = RankKey(7, "trainer", 0, 1, 3)
GROUP = f"dlroverd.slice/dlroverd-main.slice/dlroverd-main-{KEY.unit}.service"


def plant(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_this_host_is_read_and_every_value_makes_sense(tmp_path: Path) -> None:
    readings = Readings(str(tmp_path))
    first, _ = readings.read({})
    second, ranks = readings.read({KEY.unit: os.getpid(), "ended": 2**22 - 1})
    assert "host_cpu_ratio" not in first, "the share of no time is not known"
    assert {"host_cpu_ratio", "host_load", "host_memory_used_bytes", "host_disk_used_ratio"} <= second.keys()
    assert all(is_known(name) and is_sane(name, value) for name, value in second.items())
    assert second["host_processes"] >= 2
    assert ranks.keys() == {KEY.unit}, "of one that has ended nothing is known, which is not 0"
    assert 2**20 < ranks[KEY.unit]["rank_memory_bytes"] < 2**34
    _, again = readings.read({KEY.unit: os.getpid()})
    assert again[KEY.unit]["rank_cpu_ratio"] >= 0.0


def test_a_rank_under_systemd_is_its_control_group(tmp_path: Path) -> None:
    plant(
        tmp_path,
        {
            "proc/42/cgroup": f"0::/{GROUP}/below\n",
            f"sys/fs/cgroup/{GROUP}/cpu.stat": "usage_usec 5000000\nuser_usec 4000000\n",
            f"sys/fs/cgroup/{GROUP}/memory.stat": "anon 1000\nfile 999999\nshmem 24\n",
        },
    )
    readings = Readings(str(tmp_path), tmp_path)
    _, ranks = readings.read({KEY.unit: 42})
    assert ranks == {KEY.unit: {"rank_memory_bytes": 1024.0}}
    plant(tmp_path, {f"sys/fs/cgroup/{GROUP}/cpu.stat": "usage_usec 5000001\n"})
    _, ranks = readings.read({KEY.unit: 42})
    assert ranks[KEY.unit]["rank_cpu_ratio"] > 0.0
    plant(tmp_path, {f"sys/fs/cgroup/{GROUP}/cpu.stat": "usage_usec 17\n"})
    _, ranks = readings.read({KEY.unit: 42})
    assert "rank_cpu_ratio" not in ranks[KEY.unit], "a count that began anew is no rate"


def test_what_a_rank_waits_for_a_cpu_is_that_of_all_its_threads(tmp_path: Path) -> None:
    group = {
        f"sys/fs/cgroup/{GROUP}/cpu.stat": "usage_usec 1\n",
        f"sys/fs/cgroup/{GROUP}/memory.stat": "anon 1\nshmem 2\n",
    }
    tasks = {"proc/42/task/42/schedstat": "9 1000000 5\n", "proc/42/task/43/schedstat": "9 1000000 5\n"}
    plant(tmp_path, {"proc/42/cgroup": f"0::/{GROUP}\n", **group, **tasks})
    readings = Readings(str(tmp_path), tmp_path)
    assert "rank_cpu_wait_ratio" not in readings.read({KEY.unit: 42})[1][KEY.unit], "a count is no rate yet"
    plant(tmp_path, {"proc/42/task/43/schedstat": "9 900000001000000 5\n"})
    assert readings.read({KEY.unit: 42})[1][KEY.unit]["rank_cpu_wait_ratio"] > 1.0
    plant(tmp_path, {"proc/42/task/42/schedstat": "?\n", "proc/42/task/43/schedstat": ""})
    assert "rank_cpu_wait_ratio" not in readings.read({KEY.unit: 42})[1][KEY.unit], (
        "a kernel that does not count says nothing"
    )


def test_ports_of_rdma_adapters_are_counted_in_words_of_four_bytes(tmp_path: Path) -> None:
    def port(number: int, *, words: int, packets: int) -> dict[str, str]:
        values = dict.fromkeys(("xmit_data", "xmit_packets", "rcv_errors", "xmit_discards"), 0)
        values |= {"rcv_data": words, "rcv_packets": packets}
        folder = f"sys/class/infiniband/mlx5_{number}/ports/1/counters"
        return {f"{folder}/port_{name}": f"{value}\n" for name, value in values.items()}

    plant(tmp_path, port(0, words=0, packets=0) | port(1, words=1000, packets=50) | {"proc/none": ""})
    readings = Readings(str(tmp_path), tmp_path)
    assert not {name for name in readings.read({})[0] if "infiniband" in name}
    plant(tmp_path, port(0, words=10**9, packets=10**6) | port(1, words=10**9, packets=10**6))
    host, _ = readings.read({})
    received = host["host_infiniband_receive_bytes_per_second"] / host["host_infiniband_packets_per_second"]
    assert received == pytest.approx(4 * (2 * 10**9 - 1000) / (2 * 10**6 - 50), rel=1e-3)
    assert host["host_infiniband_transmit_bytes_per_second"] == host["host_infiniband_errors_per_second"] == 0.0


def test_steps_are_timed_by_the_ranks_own_clock_and_a_rank_that_makes_none_says_nothing() -> None:
    now = {KEY: Step(10, 100.0)}
    times = StepTimes(lambda: dict(now))

    def taken() -> dict[str, float]:
        return {sample.metric: sample.value for sample in times.take()}

    assert taken() == {"rank_step": 10.0}
    now[KEY] = Step(14, 108.0)
    assert taken() == {"rank_step": 14.0, "rank_step_seconds": 2.0}
    assert taken() == {"rank_step": 14.0}
    now[KEY] = Step(2, 109.0)
    assert taken() == {"rank_step": 2.0}
    now.clear()
    assert taken() == {}


async def first_message(sources: Sequence[Sequence[Sample]], state_dir: Path) -> tuple[Telemetry, Monitors]:
    """Give what an agent sends first, with these readings beside the host's."""
    sent: asyncio.Queue[Telemetry] = asyncio.Queue()
    taken = [(lambda group=group: group) for group in sources]
    monitors = Monitors(0.01, HostMonitor(str(state_dir)), dict, taken, sent.put_nowait)
    running = asyncio.create_task(monitors.run())
    try:
        async with asyncio.timeout(30):
            return await sent.get(), monitors
    finally:
        running.cancel()
        await asyncio.wait({running})


def test_what_makes_no_sense_is_not_sent_and_of_two_readings_the_later_sources_counts(tmp_path: Path) -> None:
    broken = [
        Sample(metric="device_temperature_celsius", value=value, device=str(number))
        for number, value in enumerate((math.nan, math.inf, 4000.0, -300.0, 71.0))
    ]
    own = [Sample(metric=name, value=1.0, rank=KEY) for name in ("user.mfu", "User.x", "nothing")]
    steps = [Sample(metric="rank_step_seconds", value=value, rank=KEY) for value in (2.0, 3.0)]
    message, monitors = asyncio.run(first_message([broken, own, steps[:1], steps[1:]], tmp_path))
    given = [each for each in message.samples if not each.metric.startswith("host_")]
    assert [(each.metric, each.value) for each in given] == [
        ("device_temperature_celsius", 71.0),
        ("user.mfu", 1.0),
        ("rank_step_seconds", 3.0),
    ]
    assert any(each.metric == "host_memory_total_bytes" for each in message.samples)
    assert monitors.dropped == 6


def test_a_script_that_reports_without_end_fills_no_message(tmp_path: Path) -> None:
    flood = [Sample(metric=f"user.g{number}", value=1.0, rank=KEY) for number in range(3 * MOST_SAMPLES)]
    message, monitors = asyncio.run(first_message([flood], tmp_path))
    assert len(message.samples) == MOST_SAMPLES
    assert monitors.dropped >= 2 * MOST_SAMPLES


def test_a_host_without_devices_has_no_readings_of_any(tmp_path: Path) -> None:
    assert DeviceMonitor("none", tmp_path).samples() == []


def test_a_state_dir_that_is_gone_costs_the_readings_of_its_disk_alone(tmp_path: Path) -> None:
    async def run() -> set[str]:
        monitor = HostMonitor(str(tmp_path / "gone"))
        try:
            return {each.metric for each in await monitor.read({})}
        finally:
            await monitor.close()

    names = asyncio.run(run())
    assert "host_disk_used_bytes" not in names
    assert "host_memory_used_bytes" in names


def test_a_reading_that_does_not_end_is_given_up_and_the_next_one_begins_anew(tmp_path: Path) -> None:
    async def run() -> None:
        monitor = HostMonitor(str(tmp_path))
        await monitor.read({})
        child = monitor._child
        assert child is not None
        os.kill(child.pid, 19)  # SIGSTOP: it answers nothing, as if it were in a call that does not return
        monitor._answer_s = 0.2
        with pytest.raises(MonitorError, match=r"was not read within 0\.2 s: see if the file system of"):
            await monitor.read({})
        assert child.returncode == -9
        monitor._answer_s = 30.0
        assert await monitor.read({})
        assert monitor._child is not None
        os.kill(monitor._child.pid, 9)
        with pytest.raises(MonitorError, match="broke, and is started anew"):
            await monitor.read({})
        assert await monitor.read({})
        await monitor.close()

    asyncio.run(run())


def test_an_interval_is_a_second_or_more_or_nothing_is_read() -> None:
    assert AgentConfig.model_validate({"monitor_interval": 0}).monitor_interval == 0.0
    with pytest.raises(ValueError, match=r"must be at least 1s, or 0 to read nothing, not 0\.1s"):
        AgentConfig.model_validate({"monitor_interval": "100ms"})


def test_what_a_port_counts_of_its_links_failures_is_read(tmp_path: Path) -> None:
    port = "sys/class/infiniband/mlx5_0/ports/1/counters"
    plant(tmp_path, {f"{port}/link_downed": "3\n", f"{port}/symbol_error": "9\n"})
    plant(tmp_path, {"sys/class/infiniband/mlx5_1/ports/1/counters/link_downed": "N/A\n"})
    assert Readings(str(tmp_path), tmp_path).counters() == {"link.down mlx5_0/1": 3.0}
