"""The agent's end of a vault's socket.

A vault runs as its job's user, who may put anything behind that socket, or a link to another's in its place: who
listens must be the one whose folder it is in; an answer is awaited for a bounded time, is of bounded size, and is read
by whoever asked as a stranger's word.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from dlroverd_train.vault import frames
from dlroverd_train.vault.server import VERSION

from dlroverd_agent.rank_socket import need_owner

ANSWER_S = 10.0


class VaultGoneError(Exception):
    """There is no vault at that socket, or it does not speak as one; one sentence."""


class VaultRefusedError(Exception):
    """The vault does not do what it is asked for; its sentence."""


class Attendant:
    """A connection that attends a vault, made when first needed and anew after it was lost. One call goes at a time."""

    def __init__(self, path: str) -> None:
        """Connect to nothing yet."""
        self.path = path
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, message: Mapping[str, Any], within: float = ANSWER_S) -> dict[str, Any]:
        """Have the vault do `message["op"]` and answer within so many seconds.

        Raises:
            VaultGoneError: it is not there, or says nothing in time; whether it did anything is not known.
            VaultRefusedError: it says why it does not.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(within):
                    if self._streams is None:
                        await self._attend()
                    return await self._exchange(message)
            except VaultRefusedError:
                raise
            except TimeoutError as error:
                await self.close()
                raise VaultGoneError(f"the vault at {self.path} did not answer within {within:g} s") from error
            except (OSError, EOFError, ValueError) as error:
                await self.close()
                raise VaultGoneError(f"no vault speaks at {self.path}: {error}") from error
            except BaseException:  # cancelled: half a message may be under way
                await self.close()
                raise

    async def close(self) -> None:
        """End the connection, if there is one; the next call makes another."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
            with contextlib.suppress(OSError):
                await streams[1].wait_closed()

    async def _attend(self) -> None:
        with frames.short_name(self.path) as name:
            self._streams = await asyncio.open_unix_connection(name)
        try:
            need_owner(self.path, self._streams[1].get_extra_info("socket"))
            await self._exchange({"op": "attend", "version": VERSION})
        except (VaultRefusedError, PermissionError):
            await self.close()
            raise

    async def _exchange(self, message: Mapping[str, Any]) -> dict[str, Any]:
        assert self._streams is not None  # noqa: S101 - `call` made it
        reader, writer = self._streams
        writer.write(frames.packed(dict(message)))
        await writer.drain()
        answer = frames.unpacked(await reader.readexactly(frames.length_in(await reader.readexactly(frames.HEAD))))
        if "refused" in answer:
            raise VaultRefusedError(str(answer["refused"]))
        return answer
