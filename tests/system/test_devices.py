"""The agent's device monitor on a stand-in for NVIDIA's driver: real plugin process, real pynvml, real processes."""

import asyncio
import contextlib
import getpass
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from dlroverd_agent.devices.monitor import EVERY_S, DeviceMonitor, DevicesUnknownError
from dlroverd_agent.launchers.leftovers import MARKER

from dlroverd.model.ids import RankKey
from dlroverd.model.node import DeviceObservation, DeviceState
from tests.system.fleet import Fleet, Program, gang, until
from tests.system.nvml_stand_in.gpus import Gpus, uuid
from tests.system.test_plugin_isolation import eventually

FREEZER = Path("/sys/fs/cgroup/freezer")
UUIDS = [uuid(index) for index in range(8)]
SLEEP = "import sys; sys.stdin.read()"
BLOCK = "block nvmlDeviceGetComputeRunningProcesses_v3"


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpus:
    gpus = Gpus(tmp_path)
    for name, value in gpus.environment.items():
        monkeypatch.setenv(name, value)
    return gpus


class Watched:
    """A monitor that runs, and what it has told."""

    def __init__(self, monitor: DeviceMonitor) -> None:
        self.monitor = monitor
        self.told: asyncio.Queue[tuple[DeviceObservation, ...]] = asyncio.Queue()

    async def until(self, met: Callable[[list[DeviceObservation]], bool]) -> list[DeviceObservation]:
        """Wait until what cannot be granted is as wanted."""
        async with asyncio.timeout(60):
            while True:
                unusable = [each for each in await self.told.get() if each.state is not DeviceState.OK]
                if met(unusable):
                    return unusable
                self.monitor.look_soon()


@contextlib.asynccontextmanager
async def watched(state: Path, every_s: float = EVERY_S) -> AsyncIterator[Watched]:
    monitor = DeviceMonitor("nvidia", state, every_s)
    try:
        listed = await monitor.inventory()
        assert [device.uuid for device in listed] == UUIDS
        assert [device.serial for device in listed] == [*(f"13200210{gpu:05}" for gpu in range(7)), ""]
        watch = Watched(monitor)
        running = asyncio.create_task(monitor.run(watch.told.put_nowait))
        yield watch
        running.cancel()
    finally:
        await monitor.close()


@contextlib.contextmanager
def process(*arguments: str, **environ: str) -> Iterator[int]:
    """Run a Python script of no name that waits to be ended; give its pid."""
    with subprocess.Popen(
        [sys.executable, *(arguments or ("-c", SLEEP))], stdin=subprocess.PIPE, env=os.environ | environ
    ) as running:
        try:
            yield running.pid
        finally:
            running.kill()


def test_eight_gpus_are_listed_in_the_drivers_order(gpus: Gpus, tmp_path: Path) -> None:
    gpus.set("model NVIDIA H200", "memory 151397597184", "minor 0 4", "minor 4 0", "uuid 1 GPU-a", "uuid 2 GPU-Z")

    async def run() -> None:
        monitor = DeviceMonitor("nvidia", tmp_path)
        devices = await monitor.inventory()
        assert [device.uuid for device in devices] == [UUIDS[0], "GPU-a", "GPU-Z", *UUIDS[3:]]
        assert {(device.model, device.memory_bytes) for device in devices} == {("NVIDIA H200", 151397597184)}
        shared = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
        assert monitor.nodes_for([UUIDS[0]]) == ("/dev/nvidia4", *shared)
        assert monitor.nodes_for(["GPU-Z", UUIDS[4]]) == ("/dev/nvidia2", *shared, "/dev/nvidia0")
        assert monitor.nodes_for([]) == ()
        with pytest.raises(DevicesUnknownError, match="no device GPU-b"):
            monitor.nodes_for(["GPU-b"])
        await monitor.close()

    asyncio.run(run())


def test_a_strangers_process_makes_a_device_busy_and_shows_no_secret(gpus: Gpus, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SLEEP)

    async def run() -> None:
        with process(str(script), "--token=hunter2") as pid:
            gpus.set(f"process 3 {pid} 1000")
            async with watched(tmp_path) as watch:
                (busy,) = await watch.until(bool)
                gpus.set()
                watch.monitor.look_soon()
                assert await watch.until(lambda unusable: not unusable) == []
        assert (busy.uuid, busy.state) == (UUIDS[3], DeviceState.BUSY)
        program = re.escape(os.path.basename(sys.executable))
        who = rf"pid {pid} of {getpass.getuser()} \({program} train\.py\) since \d\d:\d\d"
        assert re.fullmatch(who, busy.detail), busy.detail

    asyncio.run(run())


def test_a_rank_of_ours_keeps_its_device_free_of_doubt(gpus: Gpus, tmp_path: Path) -> None:
    async def run() -> None:
        with process(**{MARKER: "/var/lib/x/ranks/j1-trainer-0-r1-rank3"}) as ours, process() as other:
            gpus.set(f"process 3 {ours} 1000", f"process 4 {other} 5", f"process 4 {ours} 7")
            async with watched(tmp_path) as watch:
                (busy,) = await watch.until(bool)
                assert busy.uuid == UUIDS[4]
                assert busy.detail.startswith(f"pid {other} ")
                assert [(held.pid, held.key) for held in await watch.monitor.held_by([UUIDS[3]])] == [
                    (ours, RankKey(1, "trainer", 0, 1, 3))
                ]
                held = await watch.monitor.held_by([UUIDS[4], UUIDS[5]])
                assert {(each.pid, each.memory_bytes, each.key is not None) for each in held} == {
                    (ours, 7, True),
                    (other, 5, False),
                }
                gpus.set()
                assert await watch.monitor.held_by(UUIDS) == ()

    asyncio.run(run())


def test_memory_of_a_process_that_has_ended_is_no_strangers_at_once(gpus: Gpus, tmp_path: Path) -> None:
    """The driver lists a rank of ours a moment longer than it can be told from others."""
    with process() as gone:
        pass
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    gpus.set(f"process 2 {gone} 9", f"process 3 {zombie.pid} 9")

    async def run() -> None:
        async with watched(tmp_path, every_s=2.0) as watch:
            assert [each.state for each in await watch.told.get()] == [DeviceState.OK] * 8
            held = await watch.monitor.held_by(UUIDS)
            assert [(each.pid, each.ending, each.key) for each in held] == [
                (gone, True, None),
                (zombie.pid, True, None),
            ]
            # It is still there at the next look of its own accord: nobody knows whose it is.
            assert [each.uuid for each in await watch.until(bool)] == [UUIDS[2], UUIDS[3]]

    asyncio.run(run())
    zombie.wait()


def test_a_lost_device_stays_known_over_a_restart_of_the_agent(gpus: Gpus, tmp_path: Path) -> None:
    async def run() -> None:
        async with watched(tmp_path) as watch:
            gpus.set("lost 5")
            watch.monitor.look_soon()
            (lost,) = await watch.until(bool)
            assert (lost.uuid, lost.state) == (UUIDS[5], DeviceState.LOST)
            assert "the GPU is lost" in lost.detail
        gpus.set("gone 5")
        async with watched(tmp_path) as watch:
            (lost,) = await watch.until(bool)
            assert (lost.uuid, lost.state, lost.detail) == (
                UUIDS[5],
                DeviceState.LOST,
                "the driver lists it no more",
            )
            gpus.set()

    asyncio.run(run())


def test_a_driver_that_never_answers_costs_one_process_and_no_rank(gpus: Gpus, tmp_path: Path) -> None:
    async def run() -> None:
        async with watched(tmp_path) as watch:
            gpus.set("lost 5")
            watch.monitor.look_soon()
            await watch.until(bool)
            (stuck,) = children()
            gpus.set(BLOCK)
            with structlog.testing.capture_logs() as logs:
                with pytest.raises(DevicesUnknownError, match=r"read\(\) did not answer within 5 s"):
                    await watch.monitor.held_by(UUIDS)
                unusable = await watch.until(lambda unusable: len(unusable) == 8)
            states = [each.state for each in unusable]
            assert states == [DeviceState.LOST if index == 5 else DeviceState.BUSY for index in range(8)]
            assert "plugin nvidia: read() did not answer within 5 s" in unusable[0].detail
            (finding,) = (line for line in logs if line["log_level"] == "error")
            assert "no accelerator is granted" in finding["event"]
            # Another is asked, and is stuck as well.
            again = asyncio.create_task(watch.monitor.held_by(UUIDS))
            await eventually(lambda: children() not in ([], [stuck]))
            assert len(children()) == 1
            again.cancel()
            gpus.set()
            assert await watch.until(lambda unusable: not unusable) == []

    asyncio.run(run())


def test_a_driver_that_vanishes_is_a_sentence_and_its_devices_come_back_with_it(gpus: Gpus, tmp_path: Path) -> None:
    async def run() -> None:
        async with watched(tmp_path) as watch:
            with structlog.testing.capture_logs() as logs:
                gpus.unload()
                watch.monitor.look_soon()
                unusable = await watch.until(bool)
            assert [each.state for each in unusable] == [DeviceState.BUSY] * 8
            assert "Driver Not Loaded" in unusable[0].detail
            assert [line["event"] for line in logs if line["log_level"] == "error"] == [
                "no accelerator is granted until their driver answers; what runs goes on"
            ]
            gpus.set()
            watch.monitor.look_soon()
            assert await watch.until(lambda unusable: not unusable) == []

    asyncio.run(run())


def children() -> list[int]:
    """Plugin processes of this one."""
    found = []
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):
            if b"dlroverd.plugin_host.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


@pytest.mark.usefixtures("gpus")
@pytest.mark.skipif(not os.access(FREEZER, os.W_OK), reason="needs root and the freezer of cgroup v1")
def test_a_process_that_not_even_kill_ends_is_not_joined_by_a_second(tmp_path: Path) -> None:
    """As one in uninterruptible sleep within a driver: a frozen one does not take its KILL."""
    frozen = FREEZER / f"dlroverd-{os.getpid()}"
    frozen.mkdir()

    async def run() -> None:
        async with watched(tmp_path) as watch:
            (stuck,) = children()
            (frozen / "cgroup.procs").write_text(str(stuck))
            (frozen / "freezer.state").write_text("FROZEN")
            watch.monitor.look_soon()
            assert len(await watch.until(bool)) == 8
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await watch.monitor.held_by(UUIDS)
            assert children() == [stuck]
            (frozen / "freezer.state").write_text("THAWED")
            assert await watch.until(lambda unusable: not unusable) == []
            assert len(children()) == 1
            assert children() != [stuck]

    try:
        asyncio.run(run())
    finally:
        (frozen / "freezer.state").write_text("THAWED")
        frozen.rmdir()


def test_an_agent_finds_its_devices_while_the_driver_is_stuck_and_only_those_of_this_boot(
    gpus: Gpus, tmp_path: Path
) -> None:
    async def run() -> None:
        async with watched(tmp_path):
            pass
        gpus.set("block nvmlDeviceGetCount_v2")
        async with watched(tmp_path) as watch:  # which lists all eight
            assert len(watch.monitor.nodes_for(UUIDS)) == 11
            gpus.set()

        kept = tmp_path / "devices.json"
        kept.write_text(json.dumps(["another boot", *json.loads(kept.read_text())[1:]]))
        gpus.set("gone 7")
        monitor = DeviceMonitor("nvidia", tmp_path)
        assert [device.uuid for device in await monitor.inventory()] == UUIDS[:7]
        await monitor.close()
        kept.write_text("[")
        monitor = DeviceMonitor("nvidia", tmp_path)
        assert [device.uuid for device in await monitor.inventory()] == UUIDS[:7]
        await monitor.close()

    asyncio.run(run())


def test_a_host_whose_driver_is_broken_waits_for_it(gpus: Gpus, tmp_path: Path) -> None:
    gpus.unload()

    async def run() -> None:
        monitor = DeviceMonitor("nvidia", tmp_path, every_s=1.0)
        with structlog.testing.capture_logs() as logs:
            listing = asyncio.create_task(monitor.inventory())
            await eventually(lambda: bool(logs))
            assert "joins the fleet when" in logs[0]["event"]
            assert "Driver Not Loaded" in logs[0]["reason"]
            assert not listing.done()
            gpus.set()
            assert len(await listing) == 8
        await monitor.close()

    asyncio.run(run())


def test_auto_lists_what_nvidias_driver_has_and_costs_no_process_without_it(tmp_path: Path) -> None:
    loaded = os.path.exists("/proc/driver/nvidia/version")

    async def run() -> None:
        monitor = DeviceMonitor("auto", tmp_path)
        devices = await monitor.inventory()
        assert len(children()) == bool(devices) == loaded
        assert all(device.uuid.startswith("GPU-") and device.memory_bytes > 0 for device in devices)
        assert await monitor.held_by([]) == ()
        await monitor.close()

    asyncio.run(run())


def test_an_agent_that_waits_for_the_driver_can_be_stopped(gpus: Gpus, tmp_path: Path) -> None:
    gpus.unload()
    config, log = tmp_path / "agent.yaml", tmp_path / "log"
    config.write_text(
        json.dumps(
            {
                "device": "nvidia",
                "state_dir": str(tmp_path / "state"),
                "run_dir": str(tmp_path / "run"),
                "daemon": [f"unix://{tmp_path}/d"],
            }
        )
    )
    agent = Program("dlroverd_agent.main", log, "--config", str(config))
    agent.start()
    until(log.read_text, lambda said: "joins the fleet when" in said)
    agent.stop()
    assert "ranks run on" in log.read_text()


def test_all_local_ranks_see_the_granted_devices_in_one_order(fleet: Callable[..., Fleet], gpus: Gpus) -> None:
    gpus.set("uuid 0 GPU-z", "uuid 1 GPU-a")
    one = fleet(1, 8)
    config = one.root / "n1.yaml"
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "nvidia"}))
    one.agents["n1"].stop()
    one.agents["n1"].start()
    one.until_nodes(lambda views: views[0].devices == 8 and views[0].state == "ready")
    script = one.root / "show.py"
    script.write_text("import os; print('sees', os.environ['CUDA_VISIBLE_DEVICES'])")
    job = one.submit("--nproc-per-node", "3", str(script))
    assert one.until_over(job).state == "succeeded"
    assert len(gang(one.client.job(job)).ranks) == 3
    said = one.ctl("logs", str(job)).stdout
    assert re.findall(r"sees (\S+)", said) == [f"GPU-z,GPU-a,{UUIDS[2]}"] * 3
