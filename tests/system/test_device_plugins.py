"""Device plugins of strangers, registered by entry point, in a real host and under the agent's monitor."""

import asyncio
import os
from pathlib import Path

import pytest
from dlroverd_agent.devices.monitor import DeviceMonitor, DevicesUnknownError

from dlroverd.model.node import Device, DeviceObservation, DeviceState
from dlroverd.plugin_api import DeviceProcess, DeviceReading
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.testing.plant import plant
from tests.system.test_plugin_isolation import VIEW, running

ACME = """
import os
from dlroverd.plugin_api import *
DLROVERD_API = 1
class Acme:
    def read(self):
        {body}
@hookimpl
def dlroverd_register_device(register):
    register(Acme())
"""
CARD = "DeviceReading(uuid='ACME-1', model='a', memory_bytes=7, nodes=('/dev/acme0',), processes=({processes}))"
READ = DeviceReading(
    uuid="ACME-1",
    model="a",
    memory_bytes=7,
    nodes=("/dev/acme0",),
    processes=(DeviceProcess(pid=os.getppid(), memory_bytes=3),),
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that plugin processes import from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


def test_a_strangers_devices_arrive_as_they_were_read(site: Path) -> None:
    card = CARD.format(processes=f"DeviceProcess(pid={os.getppid()}, memory_bytes=3),")
    plant(site, "acme", ACME.format(body=f"return ({card},)"))

    async def run() -> None:
        async with running(PluginConfig(name="acme")) as host:
            assert await host.read_devices("acme", 30.0) == (READ,)
            assert host.inventory()[0].kinds == ("device",)

    asyncio.run(run())


ANSWERS = {
    "return [1]": "read() returned list, where a tuple of DeviceReading is wanted",
    "return (1,)": "read() returned tuple, where a tuple of DeviceReading is wanted",
    "raise OSError('no card')": "read() raised OSError: no card",
    "os._exit(3)": "its process exited with status 3",
    "return (DeviceReading(uuid=1, model='a', memory_bytes=7),)": "its answer is not valid",
}


@pytest.mark.parametrize("body", ANSWERS)
def test_an_answer_that_is_none_is_refused(site: Path, body: str) -> None:
    plant(site, "acme", ACME.format(body=body))

    async def run() -> None:
        async with running(PluginConfig(name="acme")) as host:
            with pytest.raises(PluginError) as refused:
                await host.read_devices("acme", 30.0)
            assert ANSWERS[body] in str(refused.value)

    asyncio.run(run())


def test_what_reads_devices_places_nothing_and_the_other_way_round(site: Path) -> None:
    plant(site, "acme", ACME.format(body="return ()"))

    async def run() -> None:
        host = PluginHost([PluginConfig(name="acme"), PluginConfig(name="none"), PluginConfig(name="fifo")])
        await host.start()
        with pytest.raises(PluginError, match=r"place\(\) raised it gives device only"):
            await host.schedule("acme", VIEW, 30.0)
        with pytest.raises(PluginError, match="plugin fifo: it gives scheduler only"):
            await host.read_devices("fifo", 30.0)
        assert await host.read_devices("none", 30.0) == ()
        await host.close()

    asyncio.run(run())


def test_the_agent_offers_a_strangers_devices(site: Path, tmp_path: Path) -> None:
    card = CARD.format(processes=f"DeviceProcess(pid={os.getpid()}),")
    plant(site, "acme", ACME.format(body=f"return ({card},)"))

    async def run() -> None:
        monitor = DeviceMonitor("acme", tmp_path)
        try:
            assert await monitor.inventory() == (Device(uuid="ACME-1", model="a", memory_bytes=7),)
            assert monitor.nodes_for(["ACME-1"]) == ("/dev/acme0",)
            (holder,) = await monitor.held_by(["ACME-1"])
            assert holder.who.startswith(f"pid {os.getpid()} of ")
        finally:
            await monitor.close()

    asyncio.run(run())


def test_devices_of_a_plugin_that_breaks_a_rule_are_not_granted(site: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    card = CARD.format(processes="")
    plant(site, "acme", ACME.format(body=f"return ({card},) * (2 if os.path.exists({str(broken)!r}) else 1)"))

    async def run() -> None:
        monitor = DeviceMonitor("acme", tmp_path)
        told: asyncio.Queue[tuple[DeviceObservation, ...]] = asyncio.Queue()
        try:
            await monitor.inventory()
            watching = asyncio.create_task(monitor.run(told.put_nowait))
            assert [each.state for each in await told.get()] == [DeviceState.OK]
            broken.touch()
            with pytest.raises(DevicesUnknownError, match="plugin acme: two devices have the uuid ACME-1"):
                await monitor.held_by(["ACME-1"])
            (seen,) = await told.get()
            assert seen.state is DeviceState.BUSY
            assert "two devices have the uuid ACME-1" in seen.detail
            watching.cancel()
        finally:
            await monitor.close()

    asyncio.run(run())
