"""Readings on their way from a host and its GPUs to people and to Prometheus, and what goes wrong with them."""

import asyncio
import json
import math
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent.monitors.host import HostMonitor, MonitorError

from dlroverd.model.node import NodeFacts
from dlroverd.model.world import Held, Observed
from dlroverd.protocol.channel import connect
from dlroverd.protocol.messages import AGENT_MESSAGE, DAEMON_MESSAGE, Hello, Welcome
from dlroverd.protocol.v1 import agent_service_pb2 as pb
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from dlroverd.protocol.version import PROTOCOL_VERSION
from tests.system.fleet import SCRIPTS, Fleet, until, until_ended
from tests.system.nvml_stand_in.gpus import Gpus, uuid
from tests.system.test_devices import FREEZER

NODE = "n1"


@pytest.fixture(scope="module")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpus]:
    with pytest.MonkeyPatch.context() as patch:
        gpus = Gpus(tmp_path_factory.mktemp("gpus"))
        for name, value in gpus.environment.items():
            patch.setenv(name, value)
        gpus.set("utilisation 3 97 40", "reserved 3 1073741824", "temperature 3 85", "power 3 699000")
        yield gpus


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, gpus: Gpus, ports: tuple[int, int]) -> Iterator[Fleet]:
    assert gpus.file.exists()
    daemon, agent = ({"listen": f"tcp://127.0.0.1:{port}"} for port in ports)
    more = {"device": "nvidia", "launcher": "process", "monitor_interval": "1s"}
    made = Fleet(tmp_path_factory.mktemp("fleet"), daemon={"metrics": daemon}, agent={"metrics": agent, **more})
    try:
        made.start(1, 8)
        yield made
    finally:
        made.close()


def page(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def metric(text: str, name: str) -> float:
    return float(next(line for line in text.splitlines() if line.startswith(f"{name} ")).rpartition(" ")[2])


def readings(of: Any) -> dict[str, Any]:
    return {each["metric"]: each["value"] for each in of["readings"]}


def test_readings_of_host_devices_and_ranks_are_shown(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "4", str(SCRIPTS / "steps.py"))
    known = {"step_seconds", "cpu_ratio", "memory_bytes", "device_busy_ratio", "device_memory_used_bytes"}
    view = here.until_job(
        job, lambda view: {each.reading for each in view.spreads} >= known and view.steps_per_second is not None
    )
    assert view.steps_per_second
    (trainer,) = view.roles
    rank = trainer.gangs[0].ranks[3]
    assert rank.readings is not None
    assert (rank.readings.device_busy_ratio, rank.readings.device_memory_used_bytes) == (0.97, 2.0**30)
    assert rank.readings.loss is None
    said = here.ctl("job", "status", str(job)).stdout
    assert "steps/s" in said
    assert "97 %" in said
    node = here.json("node", "show", NODE)["node"]
    (device,) = [each for each in node["devices"] if each["uuid"] == uuid(3)]
    wanted = {
        "device_busy_ratio": 0.97,
        "device_memory_used_bytes": 2.0**30,
        "device_temperature_celsius": 85.0,
        "device_power_watts": 699.0,
        "device_clock_hertz": 1980e6,
        "device_pcie_lanes": 16.0,
        "device_ecc_uncorrected": 0.0,
        "device_faults": 0.0,
    }
    assert wanted.items() <= readings(device).items()
    host = readings(node)
    assert host["host_memory_total_bytes"] > host["host_memory_used_bytes"] > 0
    assert 0.0 <= host["host_cpu_ratio"] <= 1.0
    told = here.ctl("node", "show", NODE).stdout
    assert "85 °C" in told
    assert "memory_available_bytes" in told


def test_promtool_finds_no_fault_with_either_page(here: Fleet, ports: tuple[int, int]) -> None:
    beside = os.path.dirname(sys.executable)
    promtool = shutil.which("promtool", path=f"{beside}{os.pathsep}{os.environ['PATH']}")
    assert promtool, "promtool is missing: run `make .venv/bin/promtool`"
    until(lambda: here.client.node(NODE).readings, bool)
    for port, wanted in zip(
        ports,
        ("dlroverd_turn_seconds_bucket{", f'dlroverd_device_power_watts{{device="{uuid(3)}"}} 699.0'),
        strict=True,
    ):
        text = page(port)
        assert wanted in text
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_agent_that_sends_nonsense_without_end_costs_nobody_anything(here: Fleet, ports: tuple[int, int]) -> None:
    asyncio.run(flood(here.address))

    def dropped() -> dict[str, float]:
        lines = [line for line in page(ports[0]).splitlines() if line.startswith("dlroverd_telemetry_dropped_total{")]
        return {line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}

    # A page is good for a second.
    seen = until(dropped, lambda seen: seen.get("too_often", 0.0) >= 300.0)
    assert (seen["not_sane"], seen["unknown"]) == (2.0, 1.0)
    detail = here.client.node("flood")
    assert [(each.metric, each.value) for each in detail.readings] == [("host_load", 1.5)]
    assert here.client.node(NODE).node.state == "ready"


async def flood(address: str) -> None:
    """Be the agent of a node, send much of what no reading is, and see that the session goes on."""
    facts = NodeFacts(hostname="flood", address="127.0.0.1", cpus=1, memory_bytes=1, slots=0)
    hello = Hello(
        node="flood",
        protocol_version=PROTOCOL_VERSION,
        facts=facts,
        boot_id="b",
        log_id="",
        position=0,
        observed=Observed(version=1),
        held=Held(),
        instance="i",
    )
    values = [("host_load", math.nan), ("host_cpu_ratio", -7.0), ("made_up", 1.0), ("host_load", 1.5)]
    async with asyncio.timeout(60), connect(address) as wire:
        call = AgentServiceStub(wire).Session()
        await call.write(AGENT_MESSAGE.wrap(hello))
        welcome = await call.read()
        assert isinstance(welcome, pb.DaemonMessage)
        assert isinstance(DAEMON_MESSAGE.unwrap(welcome), Welcome)
        await call.read()  # what it is to run: from now on it is known
        for number in range(301):
            message = pb.AgentMessage()
            message.telemetry.at = time.time() + number / 1000
            for name, value in values:
                message.telemetry.samples.add(metric=name, value=value)
            await call.write(message)
        await call.done_writing()
        while isinstance(await call.read(), pb.DaemonMessage):
            pass


def test_a_monitor_that_hangs_and_a_driver_that_vanishes_cost_their_readings_alone(
    here: Fleet, gpus: Gpus, ports: tuple[int, int]
) -> None:
    job = here.submit("--nproc-per-node", "1", str(SCRIPTS / "steps.py"))
    here.until_job(job, lambda view: view.state == "running")
    gpus.unload()
    here.ctl("job", "cancel", str(job))  # at a rank's end its agent looks at the devices
    here.end_jobs()

    def known() -> dict[str, list[float]]:
        detail = here.client.node(NODE)
        of_devices = [each for device in detail.devices for each in device.readings]
        return {
            "devices": [each.value for each in of_devices if each.value is not None],
            "host": [each.value for each in detail.readings if each.value is not None],
        }

    until(known, lambda seen: not seen["devices"] and bool(seen["host"]))
    (row,) = [line for line in here.ctl("node", "show", NODE).stdout.splitlines() if line.startswith(uuid(3))]
    assert row.split()[4:10] == ["busy", *"-----"]
    assert metric(page(ports[1]), 'dlroverd_agent_monitor_up{monitor="devices"}') == 0.0
    agent = here.agents[NODE].process
    assert agent is not None
    (child,) = monitors(agent.pid)
    os.kill(child, 19)  # SIGSTOP
    log = here.root / f"{NODE}.log"
    until(log.read_text, lambda text: "the host was not read within 5 s" in text)
    until(log.read_text, lambda text: "the host is read again" in text)
    assert not Path(f"/proc/{child}").exists()
    assert here.client.node(NODE).node.state == "ready"
    gpus.set()
    json.loads(here.ctl("node", "show", NODE, "-o", "json").stdout)


@pytest.mark.skipif(not os.access(FREEZER, os.W_OK), reason="needs root and the freezer of cgroup v1")
def test_a_monitor_that_not_even_kill_ends_is_not_joined_by_a_second(tmp_path: Path) -> None:
    """As one that reads a file system whose server is away: a frozen process does not take its KILL."""
    frozen = FREEZER / f"dlroverd-{os.getpid()}"
    frozen.mkdir()

    async def run() -> None:
        monitor = HostMonitor(str(tmp_path), answer_s=30.0)
        assert await monitor.read({})
        monitor._answer_s = 0.2
        (stuck,) = monitors(os.getpid())
        (frozen / "cgroup.procs").write_text(str(stuck))
        (frozen / "freezer.state").write_text("FROZEN")
        for _ in range(2):
            with pytest.raises(MonitorError, match=rf"\(pid {stuck}\) is stuck in the kernel, so nothing is read: see"):
                await monitor.read({})
            assert monitors(os.getpid()) == [stuck]
        (frozen / "freezer.state").write_text("THAWED")
        until_ended(stuck)
        monitor._answer_s = 30.0
        assert await monitor.read({})
        assert len(monitors(os.getpid())) == 1
        await monitor.close()

    try:
        asyncio.run(run())
    finally:
        (frozen / "freezer.state").write_text("THAWED")
        frozen.rmdir()


def monitors(pid: int) -> list[int]:
    """Give a process's children that read the host."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(each) for each in children if b"dlroverd_agent.monitors.child" in Path(f"/proc/{each}/cmdline").read_bytes()
    ]
