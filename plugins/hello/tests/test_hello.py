"""The tutorial plugin, tested as a stranger would test his."""

import asyncio
import json
from pathlib import Path

from dlroverd_hello import HelloSink

from dlroverd.plugin_api import EventView
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import PluginConfig
from dlroverd.testing.conformance import SinkConformance


class TestHello(SinkConformance):
    make = HelloSink

    def settings(self, directory: Path) -> dict[str, str]:
        return {"path": str(directory / "greetings")}


def moved(job: int, to: str) -> EventView:
    body = json.dumps({"job": job, "on": "x", "to": to})
    return EventView(position=job, index=0, time=0.0, name="job_moved", job=job, node="", body=body)


def test_jobs_that_finish_are_greeted(tmp_path: Path) -> None:
    path = tmp_path / "greetings"

    async def run() -> None:
        host = PluginHost([PluginConfig(name="hello", settings={"path": str(path)})])
        await host.start()
        await host.write("hello", (moved(1, "running"), moved(2, "succeeded"), moved(3, "failed")), 30.0)
        assert [(view.name, view.kinds, view.health) for view in host.inventory()] == [("hello", ("sink",), "ok")]
        await host.close()

    asyncio.run(run())
    assert path.read_text() == "hello, job 2: you succeeded\nhello, job 3: you failed\n"
