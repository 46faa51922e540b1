"""How well GPUs are, from the driver to what is done about it: on the stand-in for NVIDIA's driver."""

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from dlroverd_agent.devices.monitor import DeviceMonitor

from dlroverd.model.signal import KEPT
from dlroverd.plugin_api import DeviceEvent, DeviceReading
from tests.system.fleet import SCRIPTS, Fleet, gang, until
from tests.system.nvml_stand_in.gpus import Gpus, uuid

STEPS = str(SCRIPTS / "steps.py")


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpus:
    gpus = Gpus(tmp_path, count=2)
    for name, value in gpus.environment.items():
        monkeypatch.setenv(name, value)
    return gpus


def test_all_that_the_driver_says_of_a_gpus_health_is_read(gpus: Gpus, tmp_path: Path) -> None:
    ill = (
        "ecc 0 12 3",
        "remapped 0 1 2 1 0",
        "nvlink 0 5",
        "replays 0 7",
        "throttle 0 0x44",
        "pcie 0 3 8",
        "process 0 1 100",
        "clocks 0 900 1500",
        "xid 0 63",
        "xid 1 79",
        "xid 0 63",
    )

    async def run() -> None:
        heard: asyncio.Queue[tuple[DeviceReading, ...]] = asyncio.Queue()
        monitor = DeviceMonitor("nvidia", tmp_path, every_s=0.1)
        monitor.hear = heard.put_nowait
        await monitor.inventory()
        assert (monitor.at("0000:10:00"), monitor.at("0000:11:00"), monitor.at("0000:12:00")) == (uuid(0), uuid(1), "")
        running = asyncio.create_task(monitor.run(lambda _: None))
        async with asyncio.timeout(60):
            first, well = await heard.get()
            assert (first.faults, first.events) == ({}, ())
            gpus.set(*ill)
            while not (first := (await heard.get())[0]).events:
                pass
            assert well.counters == dict.fromkeys(first.counters, 0.0)
        counted = {"ecc_corrected": 12.0, "ecc_uncorrected": 3.0, "rows_remapped": 3.0, "nvlink_errors": 5.0}
        assert first.counters == counted | {"pcie_replays": 7.0}
        assert first.faults.keys() == {"hot", "remap_pending", "pcie_narrow"}
        assert first.faults["pcie_narrow"] == "8 lanes of 16"
        assert first.events == (DeviceEvent(name="xid.63", detail="the driver tells of XID 63"),) * 2
        shown = {sample.metric: sample.value for sample in monitor.samples() if sample.device == uuid(0)}
        assert shown["device_clock_hertz"] == 900e6
        assert (shown["device_pcie_generation"], shown["device_pcie_lanes"], shown["device_faults"]) == (3, 8, 3)
        assert shown["device_ecc_uncorrected"] == 3
        running.cancel()
        await asyncio.wait({running})
        await monitor.close()

    asyncio.run(run())


def test_a_gpu_that_falls_off_the_bus_costs_the_node_and_not_the_job(fleet: Callable[..., Fleet], gpus: Gpus) -> None:
    one = fleet(4, 2)
    config = one.root / "n1.yaml"
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "nvidia"}))
    one.agents["n1"].stop()
    one.agents["n1"].start()
    one.until_nodes(lambda views: views[0].devices == 2 and all(view.state == "ready" for view in views))
    one.ctl("node", "cordon", "n[2-4]", "--owner", "test", "--reason", "room", "--yes")
    job = one.submit("--nproc-per-node", "2", STEPS)
    assert {rank.node for rank in gang(one.until_stepping(job)).ranks} == {"n1"}
    one.ctl("node", "uncordon", "n[2-4]", "--owner", "test", "--yes")

    gpus.set("xid 1 31", "xid 1 79")
    again = one.until_stepping(job, round_=2)
    assert {rank.node for rank in gang(again).ranks} != {"n1"}
    (incident,) = again.incidents
    assert incident.cause is not None
    assert (incident.cause.kind, incident.cause.rule) == ("device_error", "signal.xid.79")
    assert incident.cause.sentence.startswith(f"device {uuid(1)} of node n1: the GPU has fallen off the bus")

    said = one.ctl("node", "why", "n1").stdout
    assert said.startswith("Node n1 takes no new jobs: quarantine by dlroverd: ")
    assert f"fatal: device {uuid(1)} of node n1: xid.79, the GPU has fallen off the bus" in said
    assert f"  done: job {job} was stopped, to restart without it; the node is quarantined\n" in said
    assert "  next: reboot the host (`node maintenance start --reboot`), then `node clear --after-repair`\n" in said
    assert f"info: device {uuid(1)} of node n1: xid.31, the application used memory that is not mapped" in said
    seen = one.json("event", "list", "--node", "n1")
    assert {json.loads(each["body"])["signal"]["name"] for each in seen["events"] if each["name"] == "signal_seen"} == {
        "xid.31",
        "xid.79",
    }

    one.ctl("node", "clear", "n1", "--reason", "GPU 1 replaced", code=2)  # it wants the word
    one.ctl("node", "clear", "n1", "--after-repair", "--reason", "GPU 1 replaced")
    (node,) = [view for view in one.client.nodes() if view.id == "n1"]
    assert not node.holds
    assert not [each for each in one.client.node("n1").signals if not each.cleared]
    assert len(one.client.node("n1").signals) <= KEPT
    assert all(each.standing == "proven" for each in one.client.node("n1").reputations)


def test_an_operators_table_is_read_again_on_hup_and_a_bad_one_changes_nothing(
    tmp_path: Path, fleet: Callable[..., Fleet]
) -> None:
    one = fleet(0)
    table = tmp_path / "signals.yaml"
    row = "{signal: xid.31, severity: info, action: note, says: own, then: ours}"
    table.write_text(f"version: 7\nsignals:\n  - {row}\n")
    config = one.root / "daemon.yaml"
    config.write_text(json.dumps({**json.loads(config.read_text()), "signals": str(table)}))
    one.daemon.stop()
    one.daemon.start()
    log = one.root / "daemon.log"

    def hup(said: str) -> None:
        assert one.daemon.process is not None
        one.daemon.process.send_signal(signal.SIGHUP)
        until(log.read_text, lambda text: said in text)

    table.write_text(f"version: 8\nsignals:\n  - {row.replace('note', 'quarantine')}\n")
    hup("severity info says that nothing is wrong, so action must be note, not quarantine")
    assert "was not taken, and the one before stays in force" in log.read_text()
    table.write_text(f"version: 8\nsignals:\n  - {row}\n")
    hup("the configuration was read again")
    assert one.client.nodes() == []
