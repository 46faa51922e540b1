"""What a vault says of its saves is a stranger's word: the agent passes on what can be told, and survives the rest."""

import asyncio
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent import core
from dlroverd_agent.vaults.commits import Commits

from dlroverd.model.checkpoint import StagedCheckpoint, StoredFile, Verdict
from dlroverd.model.ids import RoundKey

OFFER = {
    "world": ["7", "trainer", "0", "3"],
    "step": 5,
    "save": "aa-1",
    "path": "/p",
    "place": "nfs",
    "size": 8,
    "manifest": "m",
    "files": [["__0_0.distcp", "d"]],
}
STAGED = StagedCheckpoint(
    job=7,
    round=RoundKey(7, "trainer", 0, 3),
    step=5,
    save="aa-1",
    path="/p",
    place="nfs",
    size_bytes=8,
    manifest="m",
    files=(StoredFile(name="__0_0.distcp", digest="d"),),
)


class Stranger:
    """Whatever listens where a job's vault should; `answers` is what it says to `waiting`, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.verdicts: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("<I", await reader.readexactly(4))
                message = json.loads(await reader.readexactly(length))
                answer: Any = {}
                if message["op"] == "waiting":
                    if not self._answers:
                        await asyncio.Event().wait()
                    answer = self._answers.pop(0)
                elif message["op"] == "verdict":
                    self.verdicts.put_nowait(message)
                body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                writer.write(struct.pack("<I", len(body)) + body)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


def attended(stranger: Stranger, path: Path, look: Callable[[Commits, "asyncio.Queue[core.SavesStaged]"], Any]) -> None:
    async def scene() -> None:
        async with asyncio.timeout(20.0):
            server = await asyncio.start_unix_server(stranger.serve, path)
            fed: asyncio.Queue[core.SavesStaged] = asyncio.Queue()
            commits = Commits(fed.put_nowait, retry_s=0.0)
            commits.attend({7: str(path)})
            await look(commits, fed)
            await commits.close()
            server.close()

    asyncio.run(scene())


def test_a_save_is_fed_and_the_word_on_it_told(tmp_path: Path) -> None:
    stranger = Stranger({"known": 2, "saves": [OFFER]})

    async def look(commits: Commits, fed: "asyncio.Queue[core.SavesStaged]") -> None:
        assert await fed.get() == core.SavesStaged(7, (STAGED,))
        assert commits.staged(7)
        await commits.tell(Verdict(job=7, path="/p", save="aa-1", refusal="no"))
        told = await stranger.verdicts.get()
        assert told == {"op": "verdict", "path": "/p", "save": "aa-1", "refusal": "no"}
        commits.attend({})
        assert await fed.get() == core.SavesStaged(7, ())
        await commits.tell(Verdict(job=7, path="/p", save="aa-1"))  # its vault is gone: nobody is told

    attended(stranger, tmp_path / "socket", look)


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"world": ["8", "trainer", "0", "3"]}, "its ranks say that they are of job 8, and this is the vault of job 7"),
        ({"path": "/p/\udcff"}, "is not text in UTF-8: give the job a path that is"),
        ({"step": -1}, "its numbers are none: (-1, 8, 0, 3)"),
        ({"size": 1 << 70}, "its numbers are none: (5, "),
    ],
)
def test_what_cannot_be_told_is_refused_here(odd: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    stranger = Stranger({"known": 2, "saves": [{**OFFER, **odd}, OFFER]})

    async def look(_: Commits, fed: "asyncio.Queue[core.SavesStaged]") -> None:
        assert await fed.get() == core.SavesStaged(7, (STAGED,))
        assert sentence in (await stranger.verdicts.get())["refusal"]

    attended(stranger, tmp_path / "socket", look)


@pytest.mark.parametrize(
    "nonsense", [b"[]", b"{", b"[" * 100_000, {"known": "x"}, {"known": 1, "saves": [1]}, {"refused": "go away"}]
)
def test_nonsense_is_asked_again(nonsense: Any, tmp_path: Path) -> None:
    stranger = Stranger(nonsense, {"known": 2, "saves": [OFFER]})

    async def look(_: Commits, fed: "asyncio.Queue[core.SavesStaged]") -> None:
        assert await fed.get() == core.SavesStaged(7, (STAGED,))

    attended(stranger, tmp_path / "socket", look)
