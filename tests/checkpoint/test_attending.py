"""A vault whose agent says what becomes a checkpoint: nothing gets its name before that word, whatever happens."""

import asyncio
import json
import os
import pwd
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from dlroverd_agent.vaults.attendant import Attendant, VaultGoneError, VaultRefusedError
from dlroverd_train.vault import client, commit, stored
from dlroverd_train.vault.attending import Attending

from tests.checkpoint.conftest import Nursery, Rank, Vault
from tests.checkpoint.test_persisting import until

WORLD = {"DLROVERD_JOB": "7", "DLROVERD_ROLE": "trainer", "DLROVERD_GANG": "0", "DLROVERD_ROUND": "3"}


def saving(nursery: Nursery, vault: Vault, path: Path, *steps: int) -> Rank:
    orders = [*(["save", step, [], True] for step in steps), ["wait"]]
    return nursery.bear("script", vault, path=str(path), orders=orders, more=WORLD)


def outcomes(rank: Rank) -> list[str]:
    return [each["failed"] for each in rank.hear_until("persisted")["persisted"]]


async def first_offer(attendant: Attendant) -> dict[str, Any]:
    known: int = 0
    saves: list[dict[str, Any]] = []
    while not saves:
        answer = await attendant.call({"op": "waiting", "known": known, "within": 5.0})
        known, saves = answer["known"], answer["saves"]
    return saves[0]


def test_a_save_is_named_once_the_agent_says_so(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault, path = vault_of(16 << 20, "--attended"), tmp_path / "path"
    rank = saving(nursery, vault, path, 1, 2, 3)

    async def attend() -> dict[int, dict[str, Any]]:
        attendant, offers = Attendant(vault.socket), dict[int, dict[str, Any]]()
        for _ in range(3):
            offer = await first_offer(attendant)
            assert not (path / f"step-{offer['step']}").exists()
            offers[offer["step"]] = offer
            refusal = "round 3 is over" if offer["step"] == 2 else ""
            verdict = {"op": "verdict", "path": offer["path"], "save": offer["save"], "refusal": refusal}
            assert await attendant.call(verdict) == {}
            while any(each["save"] == offer["save"] for each in (await waiting(attendant))["saves"]):
                pass
        await attendant.close()
        return offers

    async def waiting(attendant: Attendant) -> dict[str, Any]:
        return await attendant.call({"op": "waiting", "known": 0, "within": 0.0})

    offers = asyncio.run(attend())
    assert outcomes(rank) == ["", "step 2 is not committed: round 3 is over", ""]
    assert [each.step for each in stored.steps(str(path))] == [3, 1]
    assert sorted(os.listdir(path)) == [".place", ".writer", "step-1", "step-3"]  # what was refused is cleared away
    assert [each["world"] for each in offers.values()] == [["7", "trainer", "0", "3"]] * 3
    assert len({each["place"] for each in offers.values()}) == 1
    known = stored.steps(str(path))[0]
    assert offers[3]["size"] == sum(file["size"] for file in known.files)
    assert offers[3]["manifest"] == stored.digest(known.folder)
    assert [name for name, _ in offers[3]["files"]] == ["__0_0.distcp"]


def test_a_save_of_an_old_round_is_that_of_the_round_that_went_on_from_it(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    vault, path = vault_of(16 << 20, "--attended"), tmp_path / "path"

    async def attend() -> dict[str, Any]:
        attendant = Attendant(vault.socket)
        rank = saving(nursery, vault, path, 1)
        old = await first_offer(attendant)
        rank.kill()
        following = nursery.bear(
            "script", vault, path=str(path), orders=[["load", []], ["wait"]], more={**WORLD, "DLROVERD_ROUND": "4"}
        )
        assert (await asyncio.to_thread(following.hear))["persisting"]
        verdict = {"op": "verdict", "path": old["path"], "save": old["save"]}
        await attendant.call({**verdict, "refusal": "round 3 is over"})
        while (new := await first_offer(attendant))["world"] == old["world"]:
            pass
        await attendant.call({**verdict, "refusal": ""})
        await attendant.close()
        assert outcomes(following) == [""]
        return new

    new = asyncio.run(attend())
    assert new["world"] == ["7", "trainer", "0", "4"]
    (found,) = stored.steps(str(path))
    assert (found.step, found.made_by, stored.verify(found)) == (1, new["world"], [])
    assert new["manifest"] == stored.digest(found.folder)


def test_only_the_agent_decides(vault_of: Callable[..., Vault]) -> None:
    attended, alone = vault_of(4 << 20, "--attended"), vault_of(4 << 20)
    rank = client.Vault(attended.socket, "s", 0, 0, {})
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


class Storage(commit.Staged):
    """A staged save of a storage that fails once when it is to be named."""

    failed: ClassVar[bool] = False

    def name(self) -> None:
        if not Storage.failed:
            Storage.failed = True
            raise OSError(5, "Input/output error")
        super().name()


def staged(path: Path, step: int, save: str) -> commit.Staged:
    about = commit.Save(str(path), step, save, 1, 1, 0, made_by=["7", "trainer", "0", "3"])
    folder = Path(commit.staging_of(about))
    folder.mkdir()
    manifest = stored.manifest_of(step, save, 1, [], made_by=about.made_by)
    (folder / "manifest.json").write_bytes(manifest)
    return commit.Staged(about, [], manifest)


def test_a_save_that_nobody_decides_on_waits_and_says_so(tmp_path: Path) -> None:
    attending, save = Attending(patience=0.0), Storage(*staged(tmp_path, 5, "aa-1"))

    async def settled() -> None:
        settling = asyncio.create_task(asyncio.to_thread(attending.settle, save))
        first = await asyncio.to_thread(attending.waiting, 1, 10.0)
        assert [each["save"] for each in first["saves"]] == ["aa-1"]
        assert attending.late(str(tmp_path), "aa-1") == (
            "step 5 is not committed: the daemon has not answered for 0 s; it stays staged, and is once that is mended"
        )
        attending.decide(str(tmp_path), "aa-1", "")  # storage is away
        until(lambda: "Input/output error; it stays staged" in attending.late(str(tmp_path), "aa-1"))
        attending.decide(str(tmp_path), "aa-1", "")
        await settling

    asyncio.run(settled())
    assert attending.waiting(0, 0.0)["saves"] == []
    assert attending.late(str(tmp_path), "aa-1") == ""
    assert [each.step for each in stored.steps(str(tmp_path))] == [5]


def test_of_two_saves_of_one_step_one_is_offered(tmp_path: Path) -> None:
    attending = Attending()

    async def settled() -> None:
        first = asyncio.create_task(asyncio.to_thread(attending.settle, staged(tmp_path, 5, "aa-1")))
        await asyncio.to_thread(attending.waiting, 1, 10.0)
        second = asyncio.create_task(asyncio.to_thread(attending.settle, staged(tmp_path, 5, "bb-1")))
        await asyncio.to_thread(until, lambda: len(attending._waiting) == 2)
        assert [each["save"] for each in attending.waiting(0, 0.0)["saves"]] == ["aa-1"]
        attending.decide(str(tmp_path), "bb-1", "")  # nobody was asked that
        attending.decide(str(tmp_path), "aa-1", "")
        await first
        with pytest.raises(commit.NotPersistedError, match="step-5 is committed already, by an earlier save of step 5"):
            await second

    asyncio.run(settled())
    assert [each.id for each in stored.steps(str(tmp_path))] == ["aa-1"]


def test_what_a_vault_leaves_staged_is_offered_by_the_next(
    nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path
) -> None:
    first, path = vault_of(16 << 20, "--attended"), tmp_path / "path"
    saving(nursery, first, path, 1)
    left = asyncio.run(first_offer(Attendant(first.socket)))
    first.kill()
    second = vault_of(16 << 20, "--attended")
    rank = saving(nursery, second, path, 2)

    async def attend() -> None:
        attendant, offers = Attendant(second.socket), dict[int, dict[str, Any]]()
        while len(offers) < 2:
            offer = await first_offer(attendant)
            offers[offer["step"]] = offer
            verdict = {"op": "verdict", "path": offer["path"], "save": offer["save"], "refusal": ""}
            await attendant.call(verdict)
        await attendant.close()
        assert offers[1] == left

    asyncio.run(attend())
    assert outcomes(rank) == [""]
    until(lambda: [each.step for each in stored.steps(str(path))] == [2, 1])
    assert not any(stored.verify(each) for each in stored.steps(str(path)))


def test_a_load_tells_what_it_passed_over(nursery: Nursery, vault_of: Callable[..., Vault], tmp_path: Path) -> None:
    path, told = tmp_path / "path", tmp_path / "told"
    assert outcomes(saving(nursery, vault_of(16 << 20), path, 1, 2)) == ["", ""]
    (path / "step-2" / "__0_0.distcp").unlink()
    more = {"DLROVERD_EVENTS_FILE": str(told)}
    rank = nursery.bear("script", vault_of(16 << 20), path=str(path), orders=[["load", []]], more=more)
    assert rank.hear()["step"] == 1
    begun, ended = (json.loads(line) for line in told.read_bytes().splitlines())
    assert (begun["n"], begun["b"]) == ("trainer.load_ckpt", {"path": str(path)})
    assert (ended["n"], ended["s"], ended["sp"]) == ("trainer.load_ckpt", "warning", begun["sp"])
    (sentence,) = ended["b"].pop("passed_over")
    assert sentence.startswith(f"step 2 of {path}/step-2: ")
    assert ended["b"] == {"step": 1, "source": f"{path}/step-1", "attempts": 2, "persisting": False}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder another's")
def test_what_stands_where_a_vaults_socket_should_be_is_not_spoken_to(tmp_path: Path) -> None:
    """A job's user puts there what it likes: a link to a socket of root's, which would take our word for root's."""
    folder, roots = tmp_path / "7", tmp_path / "roots"
    folder.mkdir()
    nobody = pwd.getpwnam("nobody").pw_uid
    os.chown(folder, nobody, -1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(roots))
        listener.listen()
        (folder / "socket").symlink_to(roots)
        with pytest.raises(VaultGoneError, match=f"it is served by uid 0, and its folder is uid {nobody}'s"):
            asyncio.run(Attendant(str(folder / "socket")).call({"op": "idle"}))
        asked, _ = listener.accept()
        assert asked.recv(1) == b""
        asked.close()
    (folder / "socket").unlink()
    os.mkfifo(folder / "socket")
    with pytest.raises(VaultGoneError, match="no vault speaks at"):
        asyncio.run(Attendant(str(folder / "socket")).call({"op": "idle"}))
