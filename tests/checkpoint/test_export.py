"""A step as safetensors: every value of every tensor, loaded by safetensors alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dlroverd_train.checkpoint.export import ExportError, export, files_of
from safetensors.torch import load_file

from tests.checkpoint.conftest import Nursery, Vault
from tests.checkpoint.roles import plain_state
from tests.checkpoint.test_persisting import flip, small_disk
from tests.checkpoint.test_saving import run

__all__ = ["small_disk"]
FILE = "model.safetensors"


def test_tensors_are_spread_over_files_in_their_order() -> None:
    assert files_of({"a": 3, "b": 7}, 10) == {FILE: ["a", "b"]}
    assert files_of({"a": 3, "b": 8, "c": 1, "d": 99, "e": 0}, 10) == {
        "model-00001-of-00004.safetensors": ["a"],
        "model-00002-of-00004.safetensors": ["b", "c"],
        "model-00003-of-00004.safetensors": ["d"],
        "model-00004-of-00004.safetensors": ["e"],
    }


@pytest.fixture
def step(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> Path:
    """A committed step 7 of the plain state."""
    run(nursery, vault_of(16 << 20), tmp_path / "path", ["save", 7, [], True], ["wait"])
    return tmp_path / "path" / "step-7"


def test_a_step_as_safetensors(step: Path, tmp_path: Path) -> None:
    state = plain_state(7)
    layers = {name: value.tolist() for name, value in state["model"].items()}

    out = tmp_path / "all"
    command = [sys.executable, "-m", "dlroverd_train.checkpoint.export", str(step), "--safetensors", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == (
        f"{out}/{FILE}\nleft out, since it is no tensor: step\nleft out, since it is no tensor: notes\n"
    )
    loaded = load_file(out / FILE)
    assert {name for name in loaded if "." not in name} == {"short", "scalar", "empty"}
    for name in ("short", "scalar", "empty"):
        assert loaded[name].dtype == state[name].dtype
        assert loaded[name].equal(state[name])
    assert {name: loaded[f"model.{name}"].tolist() for name in layers} == layers
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr) == (1, f"{out} is there already: name a folder that is not\n")

    several = export(str(step), str(tmp_path / "model"), "model", file_size=300_000)
    assert several.files == [f"model-{at:05}-of-00004.safetensors" for at in (1, 2, 3, 4)]
    assert several.left_out == []
    index = json.loads((tmp_path / "model" / "model.safetensors.index.json").read_text())
    assert index["metadata"] == {"total_size": 1_000_000}
    for name, file in index["weight_map"].items():
        assert load_file(tmp_path / "model" / file)[name].tolist() == layers[name]
    assert set(index["weight_map"]) == set(layers)
    assert set(os.listdir(tmp_path / "model")) == {*several.files, "model.safetensors.index.json"}


def test_what_cannot_be_exported_is_said_and_leaves_nothing(step: Path, tmp_path: Path, small_disk: Path) -> None:
    def refused(where: Path, out: Path, part: str = "") -> str:
        before = sorted(out.parent.iterdir())
        with pytest.raises(ExportError) as refusal:
            export(str(where), str(out), part)
        assert sorted(out.parent.iterdir()) == before
        return str(refusal.value)

    assert refused(step, tmp_path / "out", "modell") == (
        f"{step} has no tensor below 'modell': its parts are empty, model, notes, scalar, short, step"
    )
    assert refused(step.parent, tmp_path / "out") == (
        f"{step.parent} is no committed step: it has no manifest that fits"
    )
    (small_disk / "fill").write_bytes(bytes(2_000_000))
    full = refused(step, small_disk / "out")
    assert full.startswith(f"{step} was not exported to {small_disk}/out: ")
    assert "No space left on device" in full
    flip(step / "__0_0.distcp")
    assert refused(step, tmp_path / "out").startswith(f"{step} is damaged: {step}/__0_0.distcp: bytes 0 to ")
