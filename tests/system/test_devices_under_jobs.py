"""Accelerators from the driver to the daemon: one in use is not granted, one lost under a job is replaced."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dlroverd_agent.launchers.leftovers import MARKER

from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until
from tests.system.nvml_stand_in.gpus import Gpus, uuid

STEPS = str(SCRIPTS / "steps.py")


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gpus:
    gpus = Gpus(tmp_path, count=2)
    for name, value in gpus.environment.items():
        monkeypatch.setenv(name, value)
    return gpus


def with_gpus(fleet: Callable[..., Fleet]) -> Fleet:
    one = fleet(1, 2)
    config = one.root / "n1.yaml"
    config.write_text(json.dumps({**json.loads(config.read_text()), "device": "nvidia"}))
    one.agents["n1"].stop()
    one.agents["n1"].start()
    one.until_nodes(lambda views: views[0].devices == 2 and views[0].state == "ready")
    return one


def test_a_device_that_a_stranger_uses_is_shown_and_not_granted(fleet: Callable[..., Fleet], gpus: Gpus) -> None:
    one = with_gpus(fleet)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        gpus.set(f"process 0 {stranger.pid} 1073741824")
        (node,) = one.until_nodes(lambda views: bool(views[0].notes))
        assert node.free == 1
        assert f"device {uuid(0)} is busy: pid {stranger.pid} of root" in node.notes[0]
        job = one.submit("--nproc-per-node", "2", STEPS, "--steps", "1")
        waiting = one.until_job(job, lambda view: view.state == "queued" and "free" in view.reason)
        assert waiting.reason == "needs 1 node x 2 slots; 0 nodes have 2 free"
        gpus.set()
        assert one.until_over(job).state == "succeeded"
        stranger.kill()


def test_a_device_lost_under_a_job_is_named_and_another_one_taken(fleet: Callable[..., Fleet], gpus: Gpus) -> None:
    one = with_gpus(fleet)
    job = one.submit("--nproc-per-node", "1", STEPS)
    one.until_stepping(job)
    gpus.set("lost 0")
    again = one.until_stepping(job, round_=2)
    (incident,) = again.incidents
    assert incident.cause is not None
    assert incident.cause.kind == "device_lost"
    assert incident.cause.sentence.startswith(f"device {uuid(0)} of node n1 was lost: ")
    assert again.restarts_in_window == 0
    environ = Path(f"/proc/{pids(again)[0]}/environ").read_bytes()
    assert f"CUDA_VISIBLE_DEVICES={uuid(1)}".encode() in environ.split(b"\0")


def test_a_round_waits_until_the_last_one_is_off_its_devices(fleet: Callable[..., Fleet], gpus: Gpus) -> None:
    one = with_gpus(fleet)
    job = one.submit("--nproc-per-node", "1", STEPS)
    (old,) = pids(one.until_stepping(job))
    # Stays on the device after its end, as memory does that the driver has yet to take back.
    marked = Path(f"/proc/{old}/environ").read_bytes().split(b"\0")
    mark = next(each.decode() for each in marked if each.startswith(f"{MARKER}=".encode()))
    environ = {MARKER: mark.partition("=")[2]}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as left:
        gpus.set(f"process 0 {left.pid} 1073741824")
        one.client.restart(job)
        one.until_job(job, lambda view: gang(view).round == 2 and gang(view).ranks[0].state == "assigned")
        gpus.set()
        one.until_stepping(job, round_=2)
        left.kill()
    until(lambda: one.client.nodes()[0].notes, lambda notes: not notes)
