"""`dlroverctl sim`: what people see of a simulation, and what a mistake in its file looks like."""

import json
import subprocess
import sys
from pathlib import Path

import yaml

from tests.simulation.planting import ROOT

EXAMPLE = str(ROOT / "examples" / "sim" / "small.yaml")
SMALL = ("--nodes", "128", "--days", "0.25")


def dlroverctl(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "dlroverd.cli.app", *words], capture_output=True, text=True, check=False
    )


def test_run_says_what_came_of_it() -> None:
    # The example's four large jobs of 64 nodes wait in a fleet this small, so both kinds of lines are there.
    shown = dlroverctl("sim", "run", EXAMPLE, *SMALL)
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr == ""
    assert "128 nodes, 0.25 days, seed 1" in shown.stdout
    assert "goodput" in shown.stdout
    told = dlroverctl("sim", "run", EXAMPLE, *SMALL, "--json")
    simulation = json.loads(told.stdout)["simulation"]
    assert simulation["log"] in shown.stdout
    assert simulation["jobs"]["running"] >= 2
    assert f"{simulation['goodput']['productive']:.4%}" in shown.stdout


def test_trace_goes_into_another_scenario(tmp_path: Path) -> None:
    written = dlroverctl("sim", "trace", EXAMPLE, "--days", "2")
    assert written.returncode == 0, written.stderr
    assert yaml.safe_load(written.stdout)["faults"]
    (tmp_path / "trace.yaml").write_text(written.stdout)
    scenario = yaml.safe_load(Path(EXAMPLE).read_text())
    (tmp_path / "again.yaml").write_text(yaml.safe_dump({**scenario, "faults": {"trace": "trace.yaml"}}))
    again = dlroverctl("sim", "trace", str(tmp_path / "again.yaml"))
    assert again.stdout == written.stdout


def test_mistake_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    absent = dlroverctl("sim", "run", str(tmp_path / "absent.yaml"))
    assert absent.returncode == 2
    assert absent.stderr == f"dlroverctl: {tmp_path}/absent.yaml: there is no such file; check the path\n"
    small = dlroverctl("sim", "run", EXAMPLE, "--nodes", "10")
    assert small.returncode == 2
    assert "workload.0.nodes: asks for 64 nodes, and the fleet has 10; ask for less" in small.stderr
