"""Scenario and trace files: what is wrong in one is a sentence with its place; the right ones are taken as written."""

from pathlib import Path
from random import Random

import pytest

from dlroverd.config.document import ConfigError
from dlroverd.testing.simulator import scenario as files
from dlroverd.testing.simulator import trace
from dlroverd.testing.simulator.fleet import draw_faults, load
from dlroverd.testing.simulator.inventory import Inventory
from dlroverd.testing.simulator.scenario import FaultKind
from dlroverd.testing.simulator.trace import DAY_S
from tests.simulation.planting import ROOT

FLEET = "fleet: [{name: a, nodes: 40, domains: {switch: 8, pdu: 4}}]\n"
WORK = "workload: [{name: j, nodes: 4, at_start: 1, work: 1d}]\n"

MISTAKES = {
    "fleet: []\n" + WORK: "scenario.yaml:1:1: fleet: must not be empty",
    WORK: "scenario.yaml: fleet: is missing; set it",
    "fleet: [{name: a, nodes: 0}]\n" + WORK: "fleet.0.nodes: must be at least 1, not '0'",
    "fleet: [{name: a, nodes: 4, lemons: 3}]\n" + WORK: "fleet.0.lemons: must be at most 1.0, not '3'",
    "fleet: [{name: a, nodes: 4, slot: 3}]\n" + WORK: "fleet.0.slot: unknown key; did you mean slots?",
    "fleet: [{name: a, nodes: 4}, {name: a, nodes: 4}]\n" + WORK: "another one is called a already",
    FLEET + "workload: [{name: j, nodes: 4:2, work: 1d}]\n": "workload.0.nodes: must be a number of nodes or MIN:MAX",
    FLEET + "workload: [{name: j, nodes: 41, work: 1d}]\n": "asks for 41 nodes, and the fleet has 40; ask for less",
    FLEET + "workload: [{name: j, nodes: 4, slots: 9, work: 1d}]\n": "is 9, and no node has more than 8",
    FLEET + "workload: [{name: j, nodes: 4, work: soon}]\n": "workload.0.work.median: must be a duration",
    FLEET + "workload: [{name: j, nodes: 4, work: {median: 2h, p90: 1h}}]\n": "p90 is below the median; exchange them",
    FLEET + "workload: [{name: j, nodes: 4, work: 1d, training: {checkpoint_every: 1ms}}]\n": (
        "checkpoint_every must be longer than checkpoint_blocks"
    ),
    FLEET + WORK + "faults: {preset: meta}\n": "must be one of byterobust, llama3, meta-rsc, not 'meta'",
    FLEET + WORK + "faults: {rates: {gpu_gone: {per_day: 1, source: x}}}\n": "faults.rates.gpu_gone",
    FLEET + WORK + "faults: {rates: {gpu_lost: {per_day: 1}}}\n": "faults.rates.gpu_lost.source: is missing; set it",
    FLEET + WORK + "faults: {trace: t.yaml, preset: llama3}\n": "stands beside a preset or rates; keep one of them",
    FLEET + WORK + "days: -1\n": "days: must be more than 0",
}


def scenario(tmp_path: Path, text: str) -> files.Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return files.read(str(path))


@pytest.mark.parametrize("text", MISTAKES, ids=lambda text: MISTAKES[text][-40:].replace(" ", "_"))
def test_mistake_is_a_sentence(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as wrong:
        scenario(tmp_path, text)
    assert MISTAKES[text] in str(wrong.value)
    assert "scenario.yaml" in str(wrong.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{at: 1h, kind: host_crash, target: a-00040}", "'a-00040' is no node of this fleet"),
        ("{at: 1h, kind: switch_outage, target: a-00001}", "is no switch of this fleet"),
        ("{at: 1h, kind: daemon_crash, target: a-00001}", "is no fleet of this fleet"),
        ("{at: later, kind: host_crash, target: a-00001}", "faults.0.at: must be a duration"),
        ("{kind: host_crash, target: a-00001}", "faults.0.at: is missing; set it"),
    ],
)
def test_wrong_trace_is_a_sentence(line: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text(f"faults:\n  - {line}\n")
    found = scenario(tmp_path, FLEET + WORK + "faults: {trace: t.yaml}\n")
    with pytest.raises(ConfigError) as wrong:
        load(str(tmp_path / "scenario.yaml"), found)
    assert sentence in str(wrong.value)
    assert "t.yaml:2" in str(wrong.value)


def test_other_figures_on_the_command_line_are_named_in_its_sentences(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(FLEET + WORK)
    assert files.read(str(path), nodes=99, days=2.0, seed=5).nodes == 99
    with pytest.raises(ConfigError, match=r"workload\.0\.nodes: asks for 4 nodes, and the fleet has 3"):
        files.read(str(path), nodes=3)


@pytest.mark.parametrize("example", sorted((ROOT / "examples" / "sim").glob("*.yaml")), ids=lambda path: path.stem)
def test_examples_are_right(example: Path) -> None:
    found = files.read(str(example))
    assert load(str(example), found)


@pytest.mark.parametrize("name", ["byterobust", "llama3", "meta-rsc"])
def test_presets_come_as_often_as_they_say(name: str, tmp_path: Path) -> None:
    found = scenario(tmp_path, FLEET + WORK + f"days: 3650\nfaults: {{preset: {name}}}\n")
    rates = files.rates(found.faults)
    assert all(rate.source for rate in rates.values())
    faults = draw_faults(found, Inventory(found, Random(1)))
    expected = sum(rate.per_day for rate in rates.values()) * 40 * 3650
    # Poisson: five deviations either way are once in a million.
    assert abs(len(faults) - expected) < 5 * expected**0.5


def test_lemons_take_their_share(tmp_path: Path) -> None:
    text = "fleet: [{name: a, nodes: 100, lemons: 0.03}]\n" + WORK + "days: 3650\nfaults: {preset: llama3}\n"
    found = scenario(tmp_path, text)
    inventory = Inventory(found, Random(1))
    faults = draw_faults(found, inventory)
    assert len(inventory.lemons) == 3
    share = sum(fault.target in inventory.lemons for fault in faults) / len(faults)
    assert share == pytest.approx(30 / 127, rel=0.2)


def test_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    found = scenario(tmp_path, FLEET + WORK + "days: 400\nfaults: {preset: meta-rsc}\n")
    inventory = Inventory(found, Random(1))
    faults = draw_faults(found, inventory)
    assert {FaultKind.GPU_LOST, FaultKind.HOST_CRASH} <= {fault.kind for fault in faults}
    assert faults[-1].at_s < 400 * DAY_S
    (tmp_path / "t.yaml").write_text(trace.write(faults))
    again = trace.read(str(tmp_path / "t.yaml"), inventory)
    assert [(fault.kind, fault.target) for fault in again] == [(fault.kind, fault.target) for fault in faults]
    assert max(abs(one.at_s - other.at_s) for one, other in zip(again, faults, strict=True)) < 0.001
