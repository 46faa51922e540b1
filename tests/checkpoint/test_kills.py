"""kill -9 at any moment of a save: what is loaded next is one whole step, and never older than the last that was said.

`DLROVERD_CHECKPOINT_KILLS` sets how many kills each test makes (1,000 by hand, in some minutes: ranks are forked).
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkpoint.conftest import Nursery, Vault

_BY_HAND = int(os.environ.get("DLROVERD_CHECKPOINT_KILLS", "0"))
KILLS, KILLS_OF_WORLDS = _BY_HAND or 40, _BY_HAND or 6
pytestmark = pytest.mark.timeout(240 + 3 * _BY_HAND)


def test_a_rank_killed_at_random_moments_of_its_saves(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(32 << 20)
    chance = random.Random(6)
    rank = nursery.bear("saver", vault, path=str(tmp_path / "path"), megabytes=4)
    assert rank.hear() == {"loaded": None, "numbers": [-1.0]}
    torn = 0
    for _ in range(KILLS):
        rank.hear_until("saved")
        said = rank.hear_until("saving")
        busy_until(time.perf_counter() + chance.random() * 0.008)
        last = said["saving"] - 1
        for said in rank.kill():
            last = said.get("saved") or last
            torn += "saving" in said
        rank = nursery.bear("saver", vault, path=str(tmp_path / "path"), megabytes=4)
        loaded = rank.hear()
        assert loaded["loaded"] in {last, last + 1}  # whole, and not yet said
        assert loaded["numbers"] == [float(loaded["loaded"])]
    assert torn
    rank.kill()


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_one_of_two_ranks_killed_at_random_moments(
    kind: str, nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault = vault_of(32 << 20)
    chance = random.Random(kind)
    least = torn = 0
    for life in range(KILLS_OF_WORLDS + 1):
        ranks = nursery.bear_all("trainer", [vault, vault], tmp_path, path=str(tmp_path / "path"), kind=kind)
        loaded = [rank.hear() for rank in ranks]
        assert loaded[0] == loaded[1]
        if life:
            step = loaded[0]["loaded"]
            assert step >= least
            assert loaded[0] == {"loaded": step, "numbers": [float(step)], "source": "memory"}
        chance.shuffle(ranks)
        victim, other = ranks
        victim.hear_until("saved")
        least = victim.hear_until("saved")["saved"] - 1  # the other may not have got as far
        victim.hear_until("saving")
        busy_until(time.perf_counter() + chance.random() * 0.004)
        torn += not any("saved" in said for said in victim.kill())
        other.kill()
    assert torn or not _BY_HAND, "no save was cut off"


def busy_until(when: float) -> None:
    """Wait a random moment, in microseconds: the kill is what is tested, not an event."""
    while time.perf_counter() < when:
        pass
