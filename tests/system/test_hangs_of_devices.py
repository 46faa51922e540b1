"""A gang whose stacks cannot be had: what its devices do is the second sign."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.fleet import Fleet, until
from tests.system.nvml_stand_in.gpus import Gpus

# No Python, so that no stack is found; both ranks stop stepping together, as they would in a collective.
SCRIPT = "#!/bin/sh\nfor n in 1 2 3 4 5 6 7 8 9 10 11 12; do echo step $n; sleep 0.3; done\nexec sleep 1000\n"
SOON = dict.fromkeys(("step", "first_step", "checkpoint", "evaluate"), "4s")


def test_a_rank_whose_device_is_idle_while_the_others_are_busy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    gpus = Gpus(tmp_path, count=3)
    for name, value in gpus.environment.items():
        monkeypatch.setenv(name, value)
    gpus.set("utilisation 0 95 10", "utilisation 1 0 0", "utilisation 2 95 10")
    one = Fleet(tmp_path, agent={"device": "nvidia", "monitor_interval": "1s"})
    one.start(1, 3)
    request.addfinalizer(one.close)
    one.until_nodes(lambda views: views[0].devices == 3 and views[0].state == "ready")
    script = tmp_path / "train.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    file = tmp_path / "job.yaml"
    file.write_text(json.dumps({"command": str(script), "nproc_per_node": 3, "hangs": {"stage": "act", **SOON}}))
    job = int(one.ctl("submit", "--parsable", "-f", str(file)).stdout)

    def hung() -> list[dict[str, Any]]:
        bodies = [json.loads(event.body) for event in one.client.events(job=job, names=["hang_judged"])]
        return [body for body in bodies if body["verdict"]["hung"]]

    (judged, *_) = until(hung, bool)
    verdict = judged["verdict"]
    assert verdict["sentence"].startswith("rank 1 on n1 has left its device idle for ")
    assert verdict["sentence"].endswith("while those of the 2 others are busy")
    assert (verdict["kind"], verdict["absent"]) == ("absent", [0, 1, 2])
    assert judged["held_back"] == "the verdict is 70% sure, and 80% are needed"
