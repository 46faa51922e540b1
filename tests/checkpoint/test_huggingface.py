"""The Trainer with flash checkpoints: killed and resumed, it trains as if nothing had been."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dlroverd_train.vault import stored

from tests.checkpoint.conftest import Nursery, Rank, Vault


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery("hf_roles")
    yield made
    made.close()


def said_by(rank: Rank) -> list[dict[str, Any]]:
    return list(iter(rank.hear, {}))


def losses(said: list[dict[str, Any]]) -> dict[int, float]:
    return {each["step"]: each["loss"] for each in said if "step" in each}


@pytest.mark.parametrize("stateful", [False, True])
def test_a_training_that_is_killed_goes_on_where_it_was(
    stateful: bool, nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(32 << 20)

    def train(*, flash: bool, ranks: int = 1) -> list[Rank]:
        where = {"path": str(tmp_path / "path"), "out": str(tmp_path / "out")}
        return nursery.bear_all("training", [vault] * ranks, tmp_path, stateful=stateful, flash=flash, **where)

    whole = said_by(train(flash=False)[0])
    assert list(losses(whole)) == list(range(1, 15))
    (rank,) = train(flash=True)
    assert rank.hear() == {"resumed": None, "source": ""}
    first = [rank.hear() for _ in range(6)]
    rank.kill()
    resumed = said_by(train(flash=True)[0])
    assert resumed[0] == {"resumed": 4, "source": "memory"}
    assert losses(first) | losses(resumed) == losses(whole)
    assert resumed[-1]["weights"] == whole[-1]["weights"]
    assert resumed[-1]["gone"]
    for more in [said_by(rank) for rank in train(flash=True, ranks=2)]:  # the second has nothing of its own
        assert more[0] == {"resumed": 14, "source": "memory"}
        assert more[-1]["weights"] == whole[-1]["weights"]


def test_two_ranks_go_on_from_storage_and_keep_the_best(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    path = tmp_path / "path"

    def train(vaults: list[Vault], **arguments: Any) -> list[Rank]:
        arguments = {"eval_strategy": "steps", "eval_steps": 2, **arguments}
        return nursery.bear_all("training", vaults, tmp_path, path=str(path), out=str(tmp_path / "own"), **arguments)

    vault = vault_of(32 << 20)
    whole = [said_by(rank) for rank in train([vault] * 2, flash=False)]
    own = whole[0][-1]["out"]
    assert own == ["checkpoint-12", "checkpoint-14", "checkpoint-4", "checkpoint-8"]
    first = [said_by(rank) for rank in train([vault] * 2, max_steps=8, lr_scheduler_type="constant")]
    assert first[0][0] == {"resumed": None, "source": ""}
    kept = {each.step: each.metric for each in stored.steps(str(path))}
    assert kept.keys() <= {4, 8}
    assert None not in kept.values()

    vault.kill()
    vault = vault_of(32 << 20)
    resumed = [said_by(rank) for rank in train([vault] * 2)]
    assert [said[0] for said in resumed] == [{"resumed": 8, "source": str(path / "step-8")}] * 2
    assert list(losses(resumed[0])) == list(range(9, 15))
    assert resumed[0][-1]["weights"] == resumed[1][-1]["weights"]
    assert resumed[0][-1]["out"] == own  # the Trainer has saved none of its own

    vault.kill()
    (fewer,) = train([vault_of(32 << 20)])
    assert said_by(fewer)[0] == {"resumed": 14, "source": str(path / "step-14")}


@pytest.mark.parametrize("arguments", [{"save_strategy": "best"}, {"load_best_model_at_end": True}])
def test_what_needs_checkpoints_of_the_trainers_own_is_refused(
    arguments: dict[str, Any], nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    where = {"path": str(tmp_path / "path"), "out": str(tmp_path / "out")}
    arguments = {"eval_strategy": "steps", "eval_steps": 2, "metric_for_best_model": "loss", **arguments}
    (said,) = said_by(nursery.bear_all("training", [vault_of(4 << 20)], tmp_path, **where, **arguments)[0])
    assert said["refused"].startswith("save_strategy='best' and load_best_model_at_end need the Trainer's own ")
