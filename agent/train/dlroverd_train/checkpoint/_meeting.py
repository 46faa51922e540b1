"""How ranks agree on a plan, and on what to load: through a store, so that one that does not come breaks nothing."""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import torch.distributed as dist

_SEAL = 32  # bytes of a SHA-256
_ENDED = "rank 0 has ended, through which ranks agree on checkpoints"


class AbsentError(Exception):
    """A rank did not come in time; one sentence."""


class Meeting:
    """The ranks of this run. Made by all of them together; nothing after that is a collective.

    `token` (16 bytes) is the run's own, equal on all ranks.
    """

    def __init__(self) -> None:
        together = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        self.token = uuid.uuid4().bytes
        self._secret = secrets.token_bytes(_SEAL)
        self._store: dist.TCPStore | None = None
        if together:
            self._open()

    def tell(self, key: str, value: bytes) -> None:
        """Leave a value for the others. Raises AbsentError."""
        if self._store:
            try:
                self._store.set(key, self._seal(key, value) + value)  # type: ignore[arg-type] # bytes are well
            except dist.DistNetworkError as error:
                raise AbsentError(_ENDED) from error

    def told(self, key: str) -> bool:
        """Say whether a value has been left. One question to rank 0's store. Raises AbsentError."""
        try:
            return bool(self._store and self._store.check([key]))
        except dist.DistNetworkError as error:
            raise AbsentError(_ENDED) from error

    def hear(self, keys: Sequence[str], within: float, what: str) -> list[bytes]:
        """Give the values left under keys, waiting for them. Raises AbsentError: what does not come is `what`."""
        assert self._store  # noqa: S101 - one rank alone has nobody to hear
        try:
            self._store.wait(list(keys), timedelta(seconds=within))
            return [self._opened(key, bytes(self._store.get(key))) for key in keys]
        except dist.DistNetworkError as error:
            raise AbsentError(_ENDED) from error
        except dist.DistStoreError as error:
            raise AbsentError(f"{what} did not come within {within:g} s") from error

    def exchange(self, name: str, value: bytes, within: float) -> list[bytes]:
        """Give every rank's value, in rank order. `name` is used once. Raises AbsentError."""
        if not self._store:
            return [value]
        self.tell(f"{name}/{self.rank}", value)
        values = self.hear([f"{name}/{rank}" for rank in range(self.world)], within, f"some rank's word on {name}")
        self.part(name, within)
        return values

    def part(self, name: str, within: float) -> None:
        """Leave a talk. Rank 0 leaves last, since what was said is with it. Raises AbsentError."""
        if self.rank:
            self.tell(f"{name}/heard/{self.rank}", b"")
        elif self._store:
            self.hear(
                [f"{name}/heard/{rank}" for rank in range(1, self.world)], within, f"the last of the talk on {name}"
            )

    def _seal(self, key: str, value: bytes) -> bytes:
        return hmac.digest(self._secret, key.encode() + b"\0" + value, "sha256")

    def _opened(self, key: str, sealed: bytes) -> bytes:
        """Anyone on the network may reach the store; only ranks know the secret, which came through their group."""
        seal, value = sealed[:_SEAL], sealed[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(key, value)):
            raise AbsentError(f"{key} in the store of rank 0 is not from a rank of this job")
        return value

    def _open(self) -> None:
        """Let rank 0 serve a store of our own and tell the others where; the only collective there is."""
        told: list[Any] = [None]
        if self.rank == 0:
            self._store = dist.TCPStore("0.0.0.0", 0, is_master=True, wait_for_workers=False)
            told = [(os.environ.get("MASTER_ADDR") or socket.gethostname(), self._store.port, self.token, self._secret)]
        dist.broadcast_object_list(told, src=0)
        if self.rank:
            host, port, self.token, self._secret = told[0]
            self._store = dist.TCPStore(host, port, is_master=False, wait_for_workers=False)
