"""A vault whose agent says what becomes a checkpoint: nothing gets its name before that word, whatever happens."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent.vaults.attendant import Attendant, VaultGoneError, VaultRefusedError
from dlroverd_train.vault import client, commit, stored
from dlroverd_train.vault.attending import Attending

from tests.checkpoint.conftest import Nursery, Rank, Vault

WORLD = {"DLROVERD_JOB": "7", "DLROVERD_ROLE": "trainer", "DLROVERD_GANG": "0", "DLROVERD_ROUND": "3"}


def saving(nursery: Nursery, vault: Vault, path: Path, *steps: int) -> Rank:
    orders = [*(["save", step, [], True] for step in steps), ["wait"]]
    return nursery.bear("script", vault, path=str(path), orders=orders, more=WORLD)


async def first_offer(attendant: Attendant) -> dict[str, Any]:
    known, saves = 0, []
    while not saves:
        answer = await attendant.call({"op": "waiting", "known": known, "within": 5.0})
        known, saves = answer["known"], answer["saves"]
    return dict(saves[0])


def test_a_save_is_named_once_the_agent_says_so(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault, path = vault_of(16 << 20, "--attended"), tmp_path / "path"
    rank = saving(nursery, vault, path, 1, 2, 3)

    async def attend() -> list[dict[str, Any]]:
        attendant, offers = Attendant(vault.socket), []
        for refusal in ("", "round 3 is over", ""):
            offer = await first_offer(attendant)
            assert not (path / f"step-{offer['step']}").exists()
            offers.append(offer)
            verdict = {"op": "verdict", "path": offer["path"], "save": offer["save"], "refusal": refusal}
            assert await attendant.call(verdict) == {}
            while any(each["save"] == offer["save"] for each in (await waiting(attendant))["saves"]):
                pass
        await attendant.close()
        return offers

    async def waiting(attendant: Attendant) -> dict[str, Any]:
        return await attendant.call({"op": "waiting", "known": 0, "within": 0.0})

    offers = asyncio.run(attend())
    said = rank.hear_until("persisted")["persisted"]
    assert [each["failed"] for each in said] == ["", "step 2 is not committed: round 3 is over", ""]
    assert [each.step for each in stored.steps(str(path))] == [3, 1]
    assert sorted(os.listdir(path)) == [".place", ".writer", "step-1", "step-3"]  # what was refused is cleared away
    assert [each["world"] for each in offers] == [["7", "trainer", "0", "3"]] * 3
    assert len({each["place"] for each in offers}) == 1
    known = stored.steps(str(path))[0]
    assert offers[2]["size"] == sum(file["size"] for file in known.files)
    assert offers[2]["manifest"] == stored.digest(known.folder)
    assert [name for name, _ in offers[2]["files"]] == ["__0_0.distcp"]


def test_only_the_agent_decides(vault_of: Callable[..., Vault]) -> None:
    attended, alone = vault_of(4 << 20, "--attended"), vault_of(4 << 20)
    rank = client.Vault(attended.socket, "s", 0, 0)
    for operation in ("attend", "verdict"):
        with pytest.raises(client.UnavailableError, match="decides on"):
            rank.ask(operation, version=1, path="", save="", refusal="")

    async def refused() -> None:
        with pytest.raises(VaultRefusedError, match="commits without being told to"):
            await Attendant(alone.socket).call({"op": "waiting", "known": 0, "within": 0.0})
        attendant = Attendant(attended.socket)
        with pytest.raises(VaultRefusedError, match="no rank of user"):
            await attendant.call({"op": "attach", "version": 1, "session": "s", "rank": 0, "local": 0})
        attended.kill()
        with pytest.raises(VaultGoneError, match="no vault speaks at"):
            await attendant.call({"op": "waiting", "known": 0, "within": 0.0})

    asyncio.run(refused())
    rank.close()


def test_a_save_that_nobody_decides_on_waits_and_says_so(tmp_path: Path) -> None:
    attending = Attending(patience=0.0)
    save = commit.Save(str(tmp_path), 5, "aa-1", 1, 1, 0)
    names = iter([OSError(5, "Input/output error"), None])

    def name() -> None:
        if error := next(names):
            raise error

    async def settled() -> None:
        settling = asyncio.create_task(asyncio.to_thread(attending.settle, commit.Staged(save, [], b""), name))
        first = await asyncio.to_thread(attending.waiting, 1, 10.0)
        assert [each["save"] for each in first["saves"]] == ["aa-1"]
        assert attending.late(save.path, save.id) == (
            "step 5 is not committed: the daemon has not answered for 0 s; it stays staged, and is once that is mended"
        )
        attending.decide(save.path, save.id, "")  # storage is away
        await asyncio.to_thread(attending.waiting, first["known"], 10.0)
        assert "Input/output error; it stays staged" in attending.late(save.path, save.id)
        attending.decide(save.path, save.id, "")
        await settling

    asyncio.run(settled())
    assert attending.waiting(0, 0.0)["saves"] == []
    assert attending.late(save.path, save.id) == ""
