"""One vault: what it is to be, where its files are, and who listens on its socket. Blocking."""

import json
import os
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import dlroverd_train
from dlroverd_train.vault import frames

from dlroverd_agent.launchers.files import boot_id
from dlroverd_agent.launchers.shim import replace_file
from dlroverd_agent.rank_socket import peer

_PROGRAM = str(Path(dlroverd_train.__file__).with_name("vault") / "__main__.py")
_CONNECT_S = 1.0


class VaultError(Exception):
    """A vault cannot be had; the message is one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The vault of a job on this node: `memory_bytes` for `ranks` ranks, as the job's user."""

    job: int
    uid: int
    gid: int
    user: str
    memory_bytes: int
    ranks: int


@dataclass(frozen=True, slots=True)
class VaultFiles:
    """Paths of one vault below `root`, on tmpfs: a folder that is its user's, the rest the agent's."""

    root: Path
    job: int

    @property
    def folder(self) -> Path:
        """Where its socket is. Whoever may enter it may ask for checkpoints of the job: its user alone."""
        return self.root / str(self.job)

    @property
    def socket(self) -> Path:
        """What ranks connect to (DLROVERD_CHECKPOINT_SOCKET)."""
        return self.folder / "socket"

    @property
    def record(self) -> Path:
        """Its order, and the boot that it was started in."""
        return self.root / f"{self.job}.json"

    @property
    def log(self) -> Path:
        """What it says where no journal takes that."""
        return self.root / f"{self.job}.log"

    def make(self, order: Order) -> None:
        """Make place for a vault that is about to start. VaultError if it cannot be had, or was not cleared."""
        try:
            replace_file(os.fspath(self.record), json.dumps({"boot": boot_id(), "order": asdict(order)}).encode())
            self.folder.mkdir(mode=0o700)
            if os.geteuid() == 0 and order.uid:
                os.chown(self.folder, order.uid, order.gid)
        except OSError as error:
            raise VaultError(f"its folder cannot be made: {error}") from error

    def remove(self) -> None:
        """Remove all of it. OSError if the disk, or a program of the user's that makes files there, is in the way."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self.log.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    def order(self) -> Order | None:
        """Read the order of a vault that was started in this boot; None if there is none."""
        try:
            known = json.loads(self.record.read_bytes())
            return Order(**known["order"]) if known["boot"] == boot_id() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def listener(self, order: Order) -> int:
        """Give the pid of the vault, if it listens. OSError if it does not, or someone else does."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_CONNECT_S)
            with frames.short_name(os.fspath(self.socket)) as name:
                connection.connect(name)
            pid, uid = peer(connection)
        if uid != order.uid:
            raise PermissionError(f"{self.socket} is served by uid {uid}, not {order.uid}")
        return pid

    def arguments(self, order: Order) -> list[str]:
        """Give the command that is the vault."""
        return [
            *(sys.executable, "-I", "-S", _PROGRAM, "--attended", "--warm"),
            *("--folder", os.fspath(self.folder), "--memory", str(order.memory_bytes), "--ranks", str(order.ranks)),
            *("--user", f"{order.uid}:{order.gid}:{order.user}"),
        ]

    @classmethod
    def all(cls, root: Path) -> list[Self]:
        """Find the vaults of which there is anything below `root`."""
        jobs = {path.name.partition(".")[0] for path in root.iterdir()}
        return [cls(root, int(job)) for job in sorted(jobs) if job.isdigit()]
