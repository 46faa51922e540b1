"""A daemon full of broken plugins: the job trains on, its node is never silent, `plugin list` says what happened."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlroverd.testing.plant import plant
from tests.system.fleet import SCRIPTS, Fleet, Program, gang, until

HEAD = "import os, time\nfrom dlroverd.plugin_api import hookimpl\nDLROVERD_API = 1\n"
SINK = """
class Sink:
    def open(self, settings): pass
    def write(self, batch):
        {body}
    def close(self): pass
@hookimpl
def dlroverd_register_sink(register): register(Sink())
"""
SCHEDULER = """
class Scheduler:
    def place(self, view): os._exit(3)
@hookimpl
def dlroverd_register_scheduler(register): register(Scheduler())
"""
WAYS = {
    "raises": "raise ValueError('no idea')",
    "sleeps": "time.sleep(3600)",
    "spins": "\n        while True: pass",
    "eats": "self.eaten = bytearray(8 * 2**30)",
    "exits": "os._exit(7)",
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """A fleet of one node whose daemon has one plugin of each bad kind, and a scheduler that kills itself."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    for name, body in WAYS.items():
        plant(site, name, HEAD + SINK.format(body=body))
    plant(site, "dies", HEAD + SCHEDULER)
    made = Fleet(tmp_path)
    config = {
        "state_dir": str(made.state_dir),
        "listen": [made.address],
        "plugins": ["dies"],
        "scheduler": "dies",
        "sinks": [{"plugin": name} for name in WAYS],
    }
    file = tmp_path / "daemon.yaml"
    file.write_text(json.dumps(config))
    made.daemon = Program("dlroverd.daemon.main", tmp_path / "daemon.log", "--config", str(file))
    made.start(1, 4)
    yield made
    made.close()


def test_no_plugin_disturbs_a_job(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "2", str(SCRIPTS / "allreduce.py"), "200")
    here.until_stepping(job)
    plugins = {each["name"]: each for each in until(lambda: here.json("plugin", "list")["plugins"], _all_failed)}
    over = here.until_over(job)

    assert (over.state, over.restarts, gang(over).round) == ("succeeded", 0, 1)
    events = here.json("event", "list")["events"]
    assert not [each for each in events if each["name"] == "node_moved" and '"unreachable"' in json.dumps(each)]
    (rejected,) = [each for each in events if each["name"] == "placement_rejected"]
    assert rejected["job"] == job
    assert set(plugins) == {*WAYS, "dies"}
    assert "no idea" in plugins["raises"]["last_error"]
    assert "did not answer" in plugins["sleeps"]["last_error"]
    assert "did not answer" in plugins["spins"]["last_error"]


def _all_failed(listed: list[dict[str, str]]) -> bool:
    return all(each["last_error"] for each in listed)
