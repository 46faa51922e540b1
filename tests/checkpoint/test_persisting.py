"""From memory to storage: what lands there is whole, torch's own, and never touched by what fails later."""

import errno
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dlroverd_train.vault import stored
from dlroverd_train.vault.retention import loading

from tests.checkpoint.conftest import Nursery, Vault
from tests.checkpoint.test_saving import run


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    where = tmp_path / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2560k", "none", str(where)], check=True)
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_torch_alone_loads_it_on_any_number_of_ranks(
    kind: str, nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vaults = [vault_of(16 << 20), vault_of(16 << 20)]  # as of two nodes
    path = tmp_path / "path"
    ranks = nursery.bear_all("trainer", vaults, tmp_path, path=str(path), kind=kind, until=3, persist=True)
    for rank in ranks:
        persisted = rank.hear_until("persisted")["persisted"]
        assert [(each["step"], each["failed"]) for each in persisted] == [(1, ""), (2, ""), (3, "")]
        assert rank.hear() == {"done": True}

    assert [each.step for each in stored.steps(str(path))] == [3, 2, 1]
    assert not any(stored.verify(each) for each in stored.steps(str(path)))
    assert sorted(os.listdir(path)) == [".writer", "step-1", "step-2", "step-3"]
    for world in (1, 2, 3):
        ranks = nursery.bear_all(
            "stock_loader", vaults[:1] * world, tmp_path, checkpoint=str(path / "step-3"), kind=kind
        )
        assert [rank.hear() for rank in ranks] == [{"numbers": [3.0]}] * world

    # One node is replaced: what it held is gone, so all ranks load from storage, and what they load is one step.
    replaced = [vaults[0], vault_of(16 << 20)]
    ranks = nursery.bear_all("loader", replaced, tmp_path, path=str(path), kind=kind)
    for said in [rank.hear() for rank in ranks]:
        assert (said["loaded"], said["source"]) == (3, str(path / "step-3"))
        assert said["numbers"] == [3.0]
    # Both nodes are there, but fewer ranks: memory serves other layouts as far as it holds them.
    ranks = nursery.bear_all("loader", vaults, tmp_path, path=str(path), kind=kind)
    assert {rank.hear()["source"] for rank in ranks} == {"memory"}


def test_fewer_ranks_load_from_the_memory_of_one_node(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(32 << 20)
    ranks = nursery.bear_all("trainer", [vault] * 2, tmp_path, path=str(tmp_path / "path"), kind="fsdp", until=4)
    assert all(rank.hear_until("done") for rank in ranks)
    for world in (1, 3):
        ranks = nursery.bear_all("loader", [vault] * world, tmp_path, path=str(tmp_path / "path"), kind="fsdp")
        for rank in ranks:
            said = rank.hear()
            assert (said["loaded"], said["source"], said["numbers"]) == (4, "memory", [4.0])


def test_a_restart_during_a_slow_persist_persists_the_frozen_step(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(32 << 20)
    path = tmp_path / "path"
    orders = [["save", 7, [], True], ["wait"]]
    rank = nursery.bear("script", vault, path=str(path), orders=orders, bandwidth=1e6)
    assert rank.hear()["persisting"]
    rank.kill()
    said = run(nursery, vault, path, ["load", []], *(["save", step, [], False] for step in range(8, 20)))
    assert said[0]["step"] == 7
    assert all(each["saved"] for each in said[1:])
    assert stored.steps(str(path)) == []  # it is still being written
    until(lambda: stored.steps(str(path)))
    (found,) = stored.steps(str(path))
    assert not stored.verify(found)
    ranks = nursery.bear_all("stock_plain", [vault], tmp_path, checkpoint=found.folder)
    assert ranks[0].hear() == {"numbers": [7.0]}


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_what_memory_alone_holds_is_persisted_beside_the_restart(
    kind: str, nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vaults, path = [vault_of(16 << 20), vault_of(16 << 20)], tmp_path / "path"
    ranks = nursery.bear_all("trainer", vaults, tmp_path, path=str(path), kind=kind)
    while ranks[1].hear_until("saved")["saved"] < 4:
        pass
    for rank in ranks:
        rank.kill()
    assert not path.exists()

    ranks = nursery.bear_all("loader", vaults, tmp_path, path=str(path), kind=kind)
    said = [rank.hear() for rank in ranks]
    assert [(each["source"], each["persisting"], each["why"]) for each in said] == [("memory", True, "")] * 2
    step = said[0]["loaded"]
    until(lambda: stored.steps(str(path)))
    (found,) = stored.steps(str(path))
    assert (found.step, stored.missing(found), stored.verify(found)) == (step, [], [])
    stock = nursery.bear_all("stock_loader", vaults[:1], tmp_path, checkpoint=found.folder, kind=kind)
    assert stock[0].hear() == {"numbers": [float(step)]}

    # It is there: nothing is asked for again. Fewer ranks have another layout, and persist what they save themselves.
    for those in (vaults, vaults[:1]):
        again = [rank.hear() for rank in nursery.bear_all("loader", those, tmp_path, path=str(path), kind=kind)]
        assert {(each["loaded"], each["persisting"], each["why"]) for each in again} == {(step, False, "")}


def test_what_could_not_be_persisted_is_tried_again_after_a_restart(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault, path = vault_of(16 << 20), tmp_path / "path"
    path.write_text("in the way")
    said = run(nursery, vault, path, ["save", 7, [], True], ["wait"])
    assert "step 7 was not persisted" in said[1]["persisted"][0]["failed"]
    said = run(nursery, vault, path, ["load", []], ["wait"])
    assert said[0]["persisting"]
    assert "step 7 was not persisted" in said[1]["persisted"][0]["failed"]
    path.unlink()
    said = run(nursery, vault, path, ["load", []], ["wait"])
    assert (said[0]["step"], said[0]["persisting"]) == (7, True)
    assert said[1]["persisted"][0]["folder"] == str(path / "step-7")


def test_every_slot_busy_is_waited_for_or_skipped(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    orders = [["save", step, [], step < 4] for step in range(1, 6)]
    said = run(nursery, vault_of(16 << 20), tmp_path / "a", *orders, bandwidth=2e6, on_busy="skip")
    assert [each["saved"] for each in said] == [True, True, True, False, False]
    assert said[3]["why"] == "every slot is being persisted: this step was skipped"
    said = run(nursery, vault_of(16 << 20), tmp_path / "b", *orders, ["wait"], bandwidth=4e6)
    assert [each["saved"] for each in said[:-1]] == [True] * 5
    assert [each["failed"] for each in said[-1]["persisted"]] == [""] * 3


def test_a_vault_killed_while_it_persists_leaves_the_last_checkpoint(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    path = tmp_path / "path"
    vault = vault_of(16 << 20)
    run(nursery, vault, path, ["save", 1, [], True], ["wait"])
    before = {each: (path / "step-1" / each).read_bytes() for each in os.listdir(path / "step-1")}
    rank = nursery.bear("script", vault, path=str(path), orders=[["save", 2, [], True], ["wait"]], bandwidth=1e6)
    rank.hear()
    until(lambda: any(each.startswith(".staging-2-") for each in os.listdir(path)))
    vault.kill()
    (lost,) = rank.hear()["persisted"]
    assert lost["failed"].startswith("step 2 was not persisted: the vault at ")

    said = run(nursery, vault_of(16 << 20), path, ["load", []], ["save", 3, [], True], ["wait"])
    assert (said[0]["step"], said[0]["numbers"]) == (1, [1.0])
    assert {each: (path / "step-1" / each).read_bytes() for each in os.listdir(path / "step-1")} == before
    assert sorted(os.listdir(path)) == [".writer", "step-1", "step-3"]  # what was staged is cleared away


def test_a_vault_that_is_replaced_is_used_by_the_next_save(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(16 << 20)
    rank = nursery.bear("trainer", vault, path=str(tmp_path / "p"), rendezvous=str(tmp_path / "r"), kind="plain")
    rank.hear_until("saved")
    vault.kill()
    while rank.hear_until("saved")["saved"] is not None:
        pass
    again = Vault(vault.folder, 16 << 20)
    until(lambda: rank.hear_until("saved")["saved"] is not None)
    rank.kill()
    again.kill()


def test_a_full_disk_leaves_the_last_checkpoint(
    nursery: Nursery, small_disk: Path, vault_of: Callable[..., Vault]
) -> None:
    vault = vault_of(16 << 20)
    said = run(nursery, vault, small_disk, ["save", 1, [], True], ["wait"], ["save", 2, [], True], ["wait"])
    assert said[1]["persisted"][0]["failed"] == ""
    assert said[3]["persisted"][0]["failed"] == f"a file of step 2 needs 2.1 MB, {small_disk} has 1.6 MB free"
    assert sorted(os.listdir(small_disk)) == [".writer", "step-1"]

    subprocess.run(["mount", "-o", "remount,size=5m", str(small_disk)], check=True)  # and full half-way
    rank = nursery.bear(
        "script", vault, path=str(small_disk), orders=[["save", 3, [], True], ["wait"]], bandwidth=2e6
    )  # fmt: skip
    rank.hear()
    until(lambda: any(each.startswith(".staging-3-") for each in os.listdir(small_disk)))
    fill = small_disk / "fill"
    fill_up(fill)
    assert rank.hear()["persisted"][0]["failed"].endswith("No space left on device")
    fill.unlink()
    assert sorted(os.listdir(small_disk)) == [".writer", "step-1"]
    assert not stored.verify(stored.steps(str(small_disk))[0])


def test_a_path_that_cannot_be_written_is_named(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    said = run(nursery, vault_of(16 << 20), tmp_path / "file" / "path", ["save", 1, [], True], ["wait"], ["load", []])
    failed = said[1]["persisted"][0]["failed"]
    assert failed == f"step 1 was not persisted: {tmp_path}/file/path: Not a directory"
    assert said[2]["source"] == "memory"


def test_a_path_without_rights_is_named(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o755)
    os.chown(tmp_path / "theirs", 65534, 65534)
    vault = vault_of(16 << 20, before=["setpriv", "--bounding-set=-all"])  # root without its powers
    said = run(nursery, vault, tmp_path / "theirs" / "path", ["save", 1, [], True], ["wait"], ["load", []])
    failed = said[1]["persisted"][0]["failed"]
    assert failed == f"step 1 was not persisted: {tmp_path}/theirs/path: Permission denied"
    assert (said[2]["source"], said[2]["step"]) == ("memory", 1)


def test_storage_that_is_gone_is_not_written_and_used_again_when_it_is_back(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    storage, where = tmp_path / "storage", tmp_path / "mounted"
    storage.mkdir()
    where.mkdir()
    vault, path = vault_of(16 << 20), where / "path"

    def persisted(step: int) -> str:
        failed: str = run(nursery, vault, path, ["save", step, [], True], ["wait"])[1]["persisted"][0]["failed"]
        return failed

    subprocess.run(["mount", "--bind", str(storage), str(where)], check=True)
    try:
        assert persisted(1) == ""
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)
    assert persisted(2) == f"{path}/.writer, which was there, is gone: is the storage mounted?"
    assert os.listdir(where) == []
    subprocess.run(["mount", "--bind", str(storage), str(where)], check=True)
    try:
        assert persisted(3) == ""
        assert [each.step for each in stored.steps(str(path))] == [3, 1]
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)
    other = tmp_path / "other"  # the path is on other storage by now
    (other / "path").mkdir(parents=True)
    (other / "path" / ".writer").touch()
    subprocess.run(["mount", "--bind", str(other), str(where)], check=True)
    try:
        assert persisted(4) == ""
        assert [each.step for each in stored.steps(str(path))] == [4]
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def test_two_jobs_with_one_path(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    first, second = vault_of(16 << 20), vault_of(16 << 20)
    run(nursery, first, tmp_path / "path", ["save", 1, [], True], ["wait"])
    said = run(nursery, second, tmp_path / "path", ["save", 2, [], True], ["wait"])
    assert said[1]["persisted"][0]["failed"] == (
        f"another job (vault {first.process.pid} on {os.uname().nodename}) saves its checkpoints to "
        f"{tmp_path}/path: give this one a path of its own"
    )
    assert [each.step for each in stored.steps(str(tmp_path / "path"))] == [1]
    again = run(nursery, first, tmp_path / "path", ["save", 1, [], True], ["wait"])[1]["persisted"][0]["failed"]
    assert again == f"{tmp_path}/path/step-1 is committed already, by an earlier save of step 1: it is left as it is"


def flip(where: Path) -> None:
    content = bytearray(where.read_bytes())
    content[len(content) // 2] ^= 1
    where.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda folder: flip(folder / "__0_0.distcp"), "are not what was written"),
        (lambda folder: (folder / "__0_0.distcp").unlink(), "No such file or directory"),
        (lambda folder: os.truncate(folder / "__0_0.distcp", 1000), "1000 bytes instead of"),
        (lambda folder: flip(folder / ".metadata"), "are not what was written"),
    ],
)
def test_a_damaged_checkpoint_is_passed_over(
    harm: Callable[[Path], Any], reason: str, nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    path = tmp_path / "path"
    run(nursery, vault_of(16 << 20), path, ["save", 1, [], True], ["save", 2, [], True], ["wait"])
    harm(path / "step-2")
    (said,) = run(nursery, vault_of(16 << 20), path, ["load", []])
    assert (said["step"], said["numbers"], said["attempts"]) == (1, [1.0], 2)
    assert reason in said["passed_over"][0]
    assert stored.verify(stored.steps(str(path))[0])
    if reason.startswith("No such"):
        harm(path / "step-1")
        (said,) = run(nursery, vault_of(16 << 20), path, ["load", []])
        assert said["refused"].startswith(f"none of 2 checkpoints of {path} could be loaded: step 2 of ")


def test_a_damaged_step_makes_room_for_a_new_one(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(16 << 20)
    run(nursery, vault, tmp_path / "p", ["save", 1, [], True], ["wait"])
    flip(tmp_path / "p" / "step-1" / "__0_0.distcp")
    said = run(nursery, vault, tmp_path / "p", ["save", 1, [], True], ["wait"])
    assert said[1]["persisted"][0]["failed"] == ""
    assert not stored.verify(stored.steps(str(tmp_path / "p"))[0])
    manifest = json.loads((tmp_path / "p" / "step-1" / "manifest.json").read_text())
    manifest["step"] = 2
    (tmp_path / "p" / "step-1" / "manifest.json").write_text(json.dumps(manifest))
    assert stored.steps(str(tmp_path / "p")) == []  # a manifest that was changed is none


def test_older_steps_make_room(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    vault, path = vault_of(16 << 20), tmp_path / "p"
    metrics = {1: 0.5, 2: 0.1, 3: 0.3, 4: float("nan"), 5: 0.2}
    orders = [each for step, metric in metrics.items() for each in (["save", step, [], True, metric], ["wait"])]
    said = run(nursery, vault, path, *orders, keep=[1, 3, 1])
    persisted = [each["persisted"][0] for each in said[1::2]]
    assert [each["removed"] for each in persisted] == [[], [1], [], [], [4]]
    assert not any(each["failed"] or each["left"] for each in persisted)
    assert [(each.step, each.metric) for each in stored.steps(str(path))] == [(5, 0.2), (3, 0.3), (2, 0.1)]

    with loading(str(path / "step-2")):
        (one,) = run(nursery, vault, path, ["save", 6, [], True], ["wait"], keep=[1])[1]["persisted"]
    assert one["removed"] == [3, 5]
    assert one["left"] == [f"{path}/step-2 is being loaded: it stays for now"]


def fill_up(where: Path) -> None:
    with where.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - a full disk is what is wanted


def until(what: Callable[[], Any], within: float = 30.0) -> None:
    """Wait for what another process does to files."""
    end = time.monotonic() + within
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)
