"""Checkpoints of a job under a real daemon: each is a fact of its log before it has its name, whoever dies."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlroverd_train.vault import stored
from safetensors.torch import load_file

from tests.system.fleet import SCRIPTS, Fleet, pids, until
from tests.system.test_checkpoint_memory import vaults

Fleets = Callable[..., Fleet]


class Saving:
    """A job of tests/system/scripts/checkpointing.py."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.folder = fleet.root / "saving"
        self.folder.mkdir()
        self.path = self.folder / "path"
        flags = ("--checkpoint-memory", "32MiB", "--max-restarts", "3", "--env", "CUDA_VISIBLE_DEVICES=")
        self.job = fleet.submit(*flags, str(SCRIPTS / "checkpointing.py"), str(self.folder))

    def begin(self, step: int) -> None:
        (self.folder / f"save-{step}").touch()

    def said(self, step: int) -> str:
        """Give what the rank heard of a step."""
        return self._left(f"said-{step}")

    def loaded(self, step: int) -> str:
        """Wait until a round has loaded that step; give from where."""
        return self._left(f"loaded-{step}")

    def until_staged(self, step: int) -> None:
        until(lambda: list(self.path.glob(f".staging-{step}-*/manifest.json")), bool)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(event.body) for event in self.fleet.client.events(job=self.job, names=(name,))]

    def loads(self) -> list[dict[str, Any]]:
        return [body for body in self.events("trainer.load_ckpt") if "attempts" in body]

    def _left(self, name: str) -> str:
        where = self.folder / name
        until(where.exists, bool)
        return where.read_text()


def test_a_checkpoint_is_a_fact_of_the_log_whoever_dies_meanwhile(fleet: Fleets) -> None:
    here = fleet(nodes=1, slots=1)
    saving = Saving(here)
    saving.begin(1)
    assert saving.said(1) == str(saving.path / "step-1")
    (body,) = saving.events("checkpoint_committed")
    assert (body["step"], body["path"], body["node"], body["round"]["round"]) == (1, str(saving.path), "n1", 1)
    assert body["manifest"] == stored.digest(str(saving.path / "step-1"))
    assert [file["name"] for file in body["files"]] == ["__0_0.distcp"]
    assert here.client.job(saving.job).state == "running"

    here.daemon.stop(signal.SIGKILL)
    saving.begin(2)
    saving.until_staged(2)
    here.agents["n1"].stop(signal.SIGKILL)
    here.agents["n1"].start()
    assert not (saving.path / "step-2").exists()
    here.daemon.start()
    until((saving.path / "step-2").exists, bool)  # its rank may have heard meanwhile that it is not committed yet
    saving.said(2)

    os.kill(pids(here.client.job(saving.job))[0], signal.SIGKILL)
    assert saving.loaded(2) == "memory"
    saving.begin(3)
    assert saving.said(3) == str(saving.path / "step-3")
    committed = saving.events("checkpoint_committed")
    assert [(each["step"], each["round"]["round"]) for each in committed] == [(1, 1), (2, 1), (3, 2)]
    assert saving.events("checkpoint_refused") == []
    loads = until(saving.loads, lambda loads: len(loads) == 2)  # they go through the agent's spool
    assert [(body["step"], body["source"]) for body in loads] == [(None, ""), (2, "memory")]

    until(lambda: saving.events("trainer.save"), lambda told: len(told) == 6)  # how long each took, for the interval

    look_at_them(here, saving)
    (saving.folder / "finish").touch()
    assert here.until_over(saving.job).state == "succeeded"
    until(lambda: vaults(here), lambda left: not left)


def test_what_memory_alone_has_is_persisted_when_a_job_has_failed_for_good(fleet: Fleets) -> None:
    here = fleet(nodes=2, slots=1)
    folder = here.root / "alone"
    folder.mkdir()
    words = ("--nnodes", "2", "--checkpoint-memory", "32MiB", "--max-restarts", "0", "--env", "CUDA_VISIBLE_DEVICES=")
    script = (str(SCRIPTS / "memory_alone.py"), str(folder))
    job = here.submit(*words, *script)
    until(lambda: [(folder / f"saved-{rank}").exists() for rank in range(2)], all)
    assert not list(folder.glob("path/step-*"))
    os.kill(pids(here.client.job(job))[1], signal.SIGKILL)
    assert here.until_over(job).state == "failed"
    until(lambda: vaults(here), lambda left: not left)
    assert [each.name for each in folder.glob("path/step-*")] == ["step-2"]  # the newest that both had
    listed = here.json("ckpt", "list", str(job))["checkpoints"]
    assert [each["step"] for each in listed] == [2]

    again = here.submit(*words, *script)
    assert here.until_over(again).state == "succeeded"
    told = [(folder / f"again-{rank}").read_text() for rank in range(2)]
    assert told == [f"2.0 {folder}/path/step-2"] * 2
    until(lambda: vaults(here), lambda left: not left)


def look_at_them(here: Fleet, saving: Saving) -> None:
    job, path = str(saving.job), str(saving.path)
    listed = here.json("ckpt", "list", job)
    assert (listed["kind"], [each["step"] for each in listed["checkpoints"]]) == ("checkpoints", [1, 2, 3])
    assert [row.split()[0] for row in here.ctl("ckpt", "list", job).stdout.splitlines()] == ["STEP", "1", "2", "3"]
    assert [each["step"] for each in here.json("ckpt", "list", path)["checkpoints"]] == [3, 2, 1]
    assert [each["problems"] for each in here.json("ckpt", "verify", job)["checkpoints"]] == [[], [], []]
    damage(saving.path / "step-3" / "__0_0.distcp")
    done = here.ctl("ckpt", "verify", path, code=1)
    assert "are not what was written" in done.stdout
    assert "1 of 3 checkpoints are damaged" in done.stderr
    assert here.ctl("ckpt", "verify", job, "--step", "1").stdout.splitlines()[1].endswith("ok")

    # The newest is damaged: the newest that is sound stays beside it.
    would = here.ctl("ckpt", "prune", path, "--keep-last", "1", "--dry-run").stdout
    assert would == f"would remove 1 checkpoint of {path}: 1\n"
    assert "add --yes" in here.ctl("ckpt", "prune", path, "--keep-last", "1", code=2).stderr
    assert here.ctl("ckpt", "prune", path, "--keep-last", "1", "--yes").stdout.startswith("removed 1 checkpoint of")
    assert sorted(each.name for each in saving.path.glob("step-*")) == ["step-2", "step-3"]

    out = here.root / "exported"
    where = f"{out}/model.safetensors\n"
    assert here.ctl("ckpt", "export", path, "--safetensors", str(out), "--step", "2").stdout == where
    assert load_file(out / "model.safetensors")["weights"].tolist() == [2.0] * 1000
    for words, sentence in (
        (("--step", "9"), f"{path} has no checkpoint of step 9; see"),
        (("--step", "2"), f"{out} is there already: name a folder that is not."),
        (("--python", "/usr/bin/env"), "/usr/bin/env: "),
        (("--python", "/nowhere"), "/nowhere: No such file or directory; name an interpreter with --python."),
    ):
        assert sentence in here.ctl("ckpt", "export", path, "--safetensors", str(out), *words, code=1).stderr
    assert "has nothing to remove" in here.ctl("ckpt", "prune", path).stderr
    assert "is no folder on this host" in here.ctl("ckpt", "list", "/nowhere/at/all", code=1).stderr
    assert "has no checkpoint of step 9" in here.ctl("ckpt", "verify", path, "--step", "9", code=1).stderr
    assert "There is no job 99" in here.ctl("ckpt", "list", "99", code=1).stderr


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
