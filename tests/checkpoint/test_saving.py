"""Saving to and loading from memory: nothing leaks into a step, shapes may change, and what cannot be is said."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.checkpoint.conftest import Nursery, Vault


def run(nursery: Nursery, vault: Vault, path: Path, *orders: list[Any], **options: Any) -> list[dict[str, Any]]:
    """Let one rank do things; give what it said of each."""
    rank = nursery.bear("script", vault, path=str(path), orders=list(orders), **options)
    said = list(iter(rank.hear, {"done": True}))
    assert len(said) == len(orders)
    return said


def test_what_is_trained_after_a_save_does_not_leak_into_it_nor_loads_alias_it(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(16 << 20)
    said = run(
        nursery, vault, tmp_path, ["save", 5, [], False], ["train", 99], ["load", []], ["train", 98], ["load", []]
    )
    assert said[0] == {"saved": True, "planned": True, "why": "", "persisting": False}
    for loaded in (said[2], said[4]):
        assert loaded["step"] == 5
        assert loaded["source"] == "memory"
        assert loaded["numbers"] == [5.0]
    assert said[2]["notes"] == ["step 5"]
    assert run(nursery, vault, tmp_path, ["load", []])[0]["numbers"] == [5.0]  # the next process, too


def test_a_state_may_change_its_shape(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    vault = vault_of(32 << 20)
    said = run(
        nursery,
        vault,
        tmp_path,
        ["save", 1, ["long"], False],
        ["save", 2, ["long", "tensor"], True],
        ["load", ["long", "tensor"]],
        *(["save", step, ["long", "tensor"], False] for step in range(3, 9)),  # what is no tensor grows
        ["load", ["long", "tensor"]],
        ["save", 9, [], True],
        ["wait"],
        ["load", []],
    )
    assert [each["planned"] for each in said if "planned" in each] == [True, True, *[False] * 6, True]
    assert all(each["saved"] for each in said if "saved" in each)
    assert [each["numbers"] for each in said if "numbers" in each] == [[2.0], [8.0], [9.0]]
    assert [each["step"] for each in said[-2]["persisted"]] == [2, 9]
    assert not any(each["failed"] for each in said[-2]["persisted"])


def test_a_shape_that_changes_on_one_rank_alone_hangs_nobody(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vaults = [vault_of(32 << 20)] * 2
    ranks = nursery.bear_all("trainer", vaults, tmp_path, path=str(tmp_path / "p"), kind="fsdp", until=6, odd=3)
    said = [[rank.hear_until("saved") for _ in range(6)] for rank in ranks]
    planned = [[step for step, each in enumerate(one, 1) if each["planned"]] for one in said]
    assert planned[0] == planned[1]
    assert planned[0] in ([1, 3], [1, 4])  # at once if rank 0 comes to its save as late as rank 1, else at the next
    if planned[0] == [1, 4]:
        assert said[1][2]["why"] == "the plan of rank 0 did not come within 1 s"
    assert [each["saved"] for each in said[1][3:]] == [4, 5, 6]
    for rank in ranks:
        assert rank.hear_until("done")
    ranks = nursery.bear_all("loader", vaults, tmp_path, path=str(tmp_path / "p"), kind="fsdp")
    assert [rank.hear()["loaded"] for rank in ranks] == [6, 6]


def test_what_cannot_be_kept_is_said_and_the_last_step_stays(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(16 << 20)
    said = run(
        nursery,
        vault,
        tmp_path,
        ["save", 1, [], False],
        ["save", 2, ["function"], False],
        ["load", []],
        ["save", 3, ["sparse"], False],
        ["load", []],
        ["save", 4, [], False],
        ["load", []],
    )
    assert said[1]["refused"].startswith("function cannot be serialized: ")
    assert said[3]["refused"] == "sparse is a Tensor with layout torch.sparse_coo: only dense tensors can be kept"
    assert [said[2]["step"], said[4]["step"], said[6]["step"]] == [1, 1, 4]


def test_too_little_memory_is_refused_with_the_sum(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(2 << 20)
    (said,) = run(nursery, vault, tmp_path, ["save", 1, [], False])
    assert said["refused"] == (
        "an arena of 4.2 MB is asked for, and 0.0 MB of the checkpoint memory of 2.1 MB are in use: "
        "give the job at least 4.2 MB"
    )
    (said,) = run(nursery, vault, tmp_path, ["load", []])
    assert said["step"] is None


def test_a_rank_has_its_checkpoints_open_once(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    vault = vault_of(16 << 20)
    first = nursery.bear("saver", vault, path=str(tmp_path), megabytes=0.1)
    first.hear_until("saved")
    second = nursery.bear("saver", vault, path=str(tmp_path), megabytes=0.1)
    said = list(iter(second._rest, {}))
    assert f"process {first.pid} has rank 0's checkpoints of this path open: close them first" in said[0]["error"]
    first.kill()
    run(nursery, vault, tmp_path, ["load", []])
