"""Brings what vaults have staged before the daemon, and the daemon's word back to them.

A vault's word is a stranger's: what cannot be told to the daemon is refused here. That the saving ranks are of the job
whose vault it is, is looked at here; that their round counts, by the daemon.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from dlroverd.model.checkpoint import StagedCheckpoint, StoredFile, Verdict
from dlroverd.model.ids import RoundKey
from dlroverd_agent import core
from dlroverd_agent.vaults.attendant import ANSWER_S, Attendant, VaultGoneError, VaultRefusedError

# A vault answers at once when anything changes. What its storage refused is tried again as often as this.
_POLL_S = 5.0
_MOST = 1 << 63

_log = structlog.get_logger()


class Commits:
    """The vaults that are attended."""

    def __init__(self, feed: Callable[[core.SavesStaged], None], retry_s: float = 1.0) -> None:
        """Attend none yet. `retry_s`: how long a vault that does not speak as one is left alone."""
        self._feed = feed
        self._retry_s = retry_s
        self._paths: dict[int, str] = {}
        self._watches: dict[int, asyncio.Task[None]] = {}
        self._tellers: dict[int, Attendant] = {}
        self._staged: dict[int, int] = {}

    def attend(self, sockets: Mapping[int, str]) -> None:
        """Attend the vaults of these jobs, each at its socket, and no others. Needs a running loop."""
        for job in [job for job, path in self._paths.items() if sockets.get(job) != path]:
            self._watches.pop(job).cancel()
            del self._paths[job], self._tellers[job]
        for job, path in sockets.items():
            if job not in self._paths:
                self._paths[job] = path
                self._tellers[job] = Attendant(path)
                self._watches[job] = asyncio.create_task(self._watch(job, path))

    def staged(self, job: int) -> bool:
        """Say whether a job's vault has saves that wait for the daemon's word: to end it now would lose them."""
        return bool(self._staged.get(job))

    async def tell(self, verdict: Verdict) -> None:
        """Tell a vault what becomes of a save. What does not get there is told again: the save is still staged."""
        teller = self._tellers.get(verdict.job)
        if teller is None:
            return
        message = {"op": "verdict", "path": verdict.path, "save": verdict.save, "refusal": verdict.refusal}
        try:
            await teller.call(message)
        except (VaultGoneError, VaultRefusedError) as error:
            _log.warning("a vault was not told what becomes of a save", job=verdict.job, error=str(error))

    async def close(self) -> None:
        """Attend none any more; their saves stay staged."""
        watches = list(self._watches.values())
        self.attend({})
        await asyncio.gather(*watches, return_exceptions=True)

    async def _watch(self, job: int, path: str) -> None:
        poller, teller, known, said = Attendant(path), self._tellers[job], 0, ""
        try:
            while True:
                try:
                    message = {"op": "waiting", "known": known, "within": _POLL_S}
                    answer = await poller.call(message, _POLL_S + ANSWER_S)
                    known, saves = int(answer["known"]), await self._read(job, answer["saves"])
                    said = ""
                except (VaultGoneError, VaultRefusedError, KeyError, TypeError, ValueError) as error:
                    if str(error) != said:
                        _log.warning("the checkpoints of a job cannot be attended", job=job, error=str(error))
                    known, saves, said = 0, (), str(error)
                self._note(job, saves)
                if said:
                    await asyncio.sleep(self._retry_s)
        finally:
            self._note(job, ())
            await poller.close()
            await teller.close()

    def _note(self, job: int, saves: tuple[StagedCheckpoint, ...]) -> None:
        if saves or self._staged.get(job):
            self._feed(core.SavesStaged(job, saves))
        self._staged[job] = len(saves)
        if not saves:
            del self._staged[job]

    async def _read(self, job: int, offers: Any) -> tuple[StagedCheckpoint, ...]:
        saves = []
        for offer in offers:
            try:
                saves.append(_save(job, offer))
            except ValueError as error:
                await self.tell(Verdict(job=job, path=offer["path"], save=offer["save"], refusal=str(error)))
        return tuple(saves)


def _save(job: int, offer: Any) -> StagedCheckpoint:
    """Read what a vault says of one save. ValueError: it cannot be told to the daemon; a sentence for the rank."""
    round_ = None
    if offer["world"] is not None:
        of, role, gang, number = offer["world"]
        round_ = RoundKey(int(of), _text(role), int(gang), int(number))
        if round_.job != job:
            raise ValueError(f"its ranks say that they are of job {round_.job}, and this is the vault of job {job}")
    numbers = (offer["step"], offer["size"], *((round_.gang, round_.round) if round_ else ()))
    if not all(isinstance(each, int) and 0 <= each < _MOST for each in numbers):
        raise ValueError(f"its numbers are none: {numbers}")
    return StagedCheckpoint(
        job=job,
        round=round_,
        step=offer["step"],
        save=_text(offer["save"]),
        path=_text(offer["path"]),
        place=_text(offer["place"]),
        size_bytes=offer["size"],
        manifest=_text(offer["manifest"]),
        files=tuple(StoredFile(name=_text(name), digest=_text(digest)) for name, digest in offer["files"]),
    )


def _text(value: object) -> str:
    """Give what is text; ValueError if it is not, or holds bytes that are no UTF-8."""
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is not text in UTF-8: give the job a path that is")
    return value
