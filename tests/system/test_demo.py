"""The demo keeps its promises: a killed rank, a resumed training, and the same figures for people and programs."""

import json
import re
from pathlib import Path

import pytest

from tests.system.fleet import dlroverctl, until_none

NAMES = ("detect", "stop", "decide", "wait", "start", "load", "recompute", "unknown", "total")


def test_the_demo_survives_its_kill_and_says_so(tmp_path: Path) -> None:
    done = dlroverctl("demo", "-o", "json", XDG_STATE_HOME=str(tmp_path), CUDA_VISIBLE_DEVICES="")

    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert (shown["version"], shown["kind"], shown["state"], shown["restarts"]) == (1, "demo", "succeeded", 1)
    assert shown["accuracy"] >= 0.95
    assert shown["resumed_from"] > 0
    (incident,) = shown["incidents"]
    assert incident["cause"]["rank"]["rank"] == shown["killed_rank"]
    assert incident["cause"]["exit"]["signal"] == 9
    phases = incident["phases"]
    assert phases["unknown"] < 0.05 * phases["total"]
    for name in NAMES:
        title = name.replace("_", " ")
        (printed,) = re.findall(rf"^  {title} +(\d+\.\d\d) s", done.stderr, re.MULTILINE)
        assert float(printed) == pytest.approx(phases[name], abs=0.00501)
    assert f"Training resumed from step {shown['resumed_from']}." in done.stderr
    assert "The same by hand" in done.stderr
    assert until_none(tmp_path) == []
