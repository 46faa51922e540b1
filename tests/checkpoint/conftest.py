"""A vault and ranks for a test: all of them real processes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
VAULT = ROOT / "agent" / "train" / "dlroverd_train" / "vault" / "__main__.py"


class Rank:
    """One rank, and what it says."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid = pid
        self._lines = os.fdopen(pipe, encoding="utf-8")

    def hear(self) -> dict[str, Any]:
        """The next thing that it says; empty when it has ended."""
        line = self._lines.readline()
        said: dict[str, Any] = json.loads(line) if line.endswith("\n") else {}
        assert "error" not in said, said["error"]
        return said

    def hear_until(self, key: str) -> dict[str, Any]:
        while key not in (said := self.hear()):
            assert said, f"rank {self.pid} ended before it said {key!r}"
        return said

    def kill(self) -> list[dict[str, Any]]:
        """Kill it; give what it had said before it was gone. A line that its end cut off counts as not said."""
        with contextlib.suppress(ProcessLookupError):  # its peer was killed before, and it has ended of that
            os.kill(self.pid, signal.SIGKILL)
        return list(iter(self._rest, {}))

    def _rest(self) -> dict[str, Any]:
        line = self._lines.readline()
        return json.loads(line) if line.endswith("\n") else {}


class Nursery:
    """Where ranks are forked (nursery.py)."""

    def __init__(self, roles: str = "roles") -> None:
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "nursery.py"), roles], stdin=theirs.fileno(), env=environment
        )
        theirs.close()
        self._line = ours
        self._answers = ours.makefile()
        assert self._answers.readline() == "ready\n"

    def bear(
        self,
        role: str,
        vault: "Vault",
        *,
        rank: int = 0,
        world: int = 1,
        more: dict[str, str] | None = None,
        **arguments: Any,
    ) -> Rank:
        end, pipe = os.pipe()
        env = {"DLROVERD_CHECKPOINT_SOCKET": vault.socket, "RANK": str(rank), "WORLD_SIZE": str(world)}
        env |= {"LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", **(more or {})}
        request = json.dumps({"role": role, "arguments": arguments, "env": env}).encode()
        socket.send_fds(self._line, [request], [pipe])
        os.close(pipe)
        return Rank(int(self._answers.readline()), end)

    def bear_all(self, role: str, vaults: "list[Vault]", folder: Path, **arguments: Any) -> list[Rank]:
        """One rank for each vault in the list: several on one node have the same."""
        rendezvous = str(folder / f"rendezvous-{uuid.uuid4().hex}")
        world = len(vaults)
        return [
            self.bear(role, vault, rank=rank, world=world, rendezvous=rendezvous, **arguments)
            for rank, vault in enumerate(vaults)
        ]

    def close(self) -> None:
        self._answers.close()
        self._line.close()
        assert self._process.wait(60) == 0


class Vault:
    """A vault as an agent would start it."""

    def __init__(self, folder: Path, memory: int, *flags: str, before: Sequence[str] = ()) -> None:
        self.folder = folder
        self.socket = str(folder / "socket")
        ready, told = os.pipe()
        command = [*before, sys.executable, "-I", "-S", str(VAULT), "--folder", str(folder), "--memory", str(memory)]
        self.process = subprocess.Popen([*command, "--ready", str(told), *flags], pass_fds=(told,))
        os.close(told)
        with os.fdopen(ready, "rb") as pipe:
            pipe.read()  # it closes it when it listens

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def vault_of(tmp_path: Path) -> Iterator[Callable[..., Vault]]:
    made: list[Vault] = []

    def make(memory: int, *flags: str, **how: Any) -> Vault:
        made.append(Vault(tmp_path / f"vault{len(made)}", memory, *flags, **how))
        return made[-1]

    yield make
    for vault in made:
        vault.kill()
