"""The vault as a process: whom it hears, what it bears, and when it ends."""

import fcntl
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from dlroverd_train.vault import client, frames

from tests.checkpoint.conftest import VAULT, Vault
from tests.checkpoint.test_persisting import until


def connection_to(vault: Vault) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(vault.socket)
    return connection


@pytest.mark.parametrize(
    "nonsense",
    [b"", b"\x01", b"\xff\xff\xff\xff", b"\x02\x00\x00\x00[]", b"\x05\x00\x00\x00{bad}", b"\x10\x00\x00\x00half"],
)
def test_nonsense_ends_its_own_connection_only(nonsense: bytes, vault_of: Callable[..., Vault]) -> None:
    vault = vault_of(4 << 20)
    good = client.Vault(vault.socket, "s", 0, 0, {})
    bad = connection_to(vault)
    bad.sendall(nonsense)
    assert good.ask("arenas") == {"arenas": []}
    bad.shutdown(socket.SHUT_WR)
    assert bad.recv(1) == b""
    assert good.ask("arenas") == {"arenas": []}
    with pytest.raises(client.UnavailableError, match="the vault does not know 'dance'"):
        good.ask("dance")
    with pytest.raises(client.UnavailableError, match="the vault does not understand 'arena': KeyError"):
        good.ask("arena")
    with pytest.raises(client.UnavailableError, match="rank 0 has no arena at 5"):
        good.ask("persist", at=5, slot=0)
    good.close()


def test_a_half_message_is_not_waited_for_by_others(vault_of: Callable[..., Vault]) -> None:
    vault = vault_of(4 << 20)
    stalled = [connection_to(vault) for _ in range(20)]
    for each in stalled:
        each.sendall(b"\x10\x00")
    good = client.Vault(vault.socket, "s", 0, 0, {})
    assert good.ask("arenas") == {"arenas": []}
    usage = Path(f"/proc/{vault.process.pid}/stat").read_text().rpartition(")")[2].split()
    for each in stalled:
        each.close()
    good.ask("arenas")
    assert int(usage[11]) + int(usage[12]) < 100  # ticks: it does not spin


def test_its_memory_is_sealed_budgeted_and_gone_with_it(vault_of: Callable[..., Vault]) -> None:
    vault = vault_of(8 << 20, "--warm", "--ranks", "2")
    rank = client.Vault(vault.socket, "s", 1, 1, {})
    assert (rank.size, rank.share_at, rank.share, rank.warm) == (8 << 20, 4 << 20, 4 << 20, True)
    for size in (0, 16 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(rank.descriptor, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(rank.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    first = rank.ask("arena", least=2 << 20, most=3 << 20, plan="a", near=rank.share_at, new=False)
    assert (first["at"], first["size"], first["fresh"]) == (4 << 20, 3 << 20, True)
    again = rank.ask("arena", least=2 << 20, most=3 << 20, plan="a", near=rank.share_at, new=False)
    assert (again["at"], again["fresh"]) == (4 << 20, False)
    with pytest.raises(client.UnavailableError, match=r"give the job at least 14\.7 MB"):
        client.Vault(vault.socket, "t", 0, 0, {}).ask("arena", least=9 << 20, most=9 << 20, plan="b", near=0, new=False)
    with mmap.mmap(rank.descriptor, rank.size) as memory:
        assert memory[4 << 20] == 0
    until(lambda: os.fstat(rank.descriptor).st_blocks * 512 == 8 << 20)  # brought in ahead
    assert rank.ask("end", within=1.0) == {}
    assert vault.process.wait(10) == 0
    until(rank.lost)
    assert not os.path.exists(vault.socket)


def test_only_its_user_may_speak_to_it(vault_of: Callable[..., Vault]) -> None:
    vault = vault_of(4 << 20)
    assert os.stat(vault.folder).st_mode & 0o777 == 0o700
    os.chmod(vault.folder, 0o755)  # noqa: S103 - even if someone opens the folder
    os.chmod(vault.socket, 0o777)  # noqa: S103 - and the socket
    for above in Path(vault.folder).parents[:-2]:  # all but / and the folder for everybody's temporary files
        above.chmod(above.stat().st_mode | 0o011)
    speak = (
        "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b'x'); print(s.recv(1))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", speak, vault.socket],
        user=65534, group=65534, extra_groups=[], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "b''" in done.stdout or "ConnectionResetError" in done.stderr or "BrokenPipeError" in done.stderr

    refused = subprocess.run(
        [sys.executable, "-I", "-S", str(VAULT), "--folder", str(vault.folder), "--memory", "4194304"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.stderr == f"{vault.folder} is not a folder that only user 0 may enter: remove it or name another\n"


def test_a_rank_finds_or_starts_one_and_it_ends_when_nobody_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(client.SOCKET, raising=False)
    run = f"test-{os.getpid()}"
    where = client.find(run, 4 << 20, ranks=2, warm=False, linger=0.5)
    assert client.find(run, 4 << 20, ranks=2, warm=False, linger=0.5) == where
    ranks = [client.Vault(where, "s", rank, rank, {}) for rank in range(2)]
    assert ranks[0].pid == ranks[1].pid
    for each in ranks:
        each.close()
    until(lambda: not os.path.exists(where))
    with pytest.raises(client.UnavailableError, match=r"1,000,000,000\.0 MB of checkpoint memory are asked for, this"):
        client.find(run, 10**15, ranks=2, warm=True, linger=0.5)
    frames_imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import dlroverd_train.vault.server"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert frames.__name__ in frames_imported.stderr
    assert "torch" not in frames_imported.stderr
