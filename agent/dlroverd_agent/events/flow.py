"""The way of events from ranks, and of the agent's own, to the daemon: reads, keeps, hands on. Decides nothing.

Whatever fails here, ranks and their supervision go on: what cannot be kept is left where it is, and what cannot be
left is counted and said.
"""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.model.ids import RankKey
from dlroverd.model.spooled import Severity, SpooledEvent
from dlroverd.model.world import RankObservation
from dlroverd.protocol.identity import IdentifiedStub
from dlroverd_agent.events.files import EventFiles
from dlroverd_agent.events.forward import Forwarder
from dlroverd_agent.events.reader import Reader
from dlroverd_agent.events.readings import Readings
from dlroverd_agent.events.spool import Spool
from dlroverd_agent.launchers.files import boot_id

# Events are read at most so late. Each look wakes this process on a core that a rank computes on.
_LOOK_S = 0.5
# While a rank writes more than one look takes; the rest of the agent has its turn in between.
_MORE_S = 0.01
_AGAIN_S = 1.0
_DROPPED_S = 30.0
_MOST_DROPPED = 20

_log = structlog.get_logger()


class EventFlow:
    """All events of one node. `readings` has what of them is telemetry. OSError from the constructor: no folder."""

    def __init__(self, config: AgentConfig) -> None:
        """Read and send nothing yet."""
        state_dir, boot = Path(config.state_dir), boot_id()
        self.readings = Readings()
        self._files = EventFiles(Path(config.run_dir), state_dir, boot)
        self._spool = Spool(state_dir / "spool", boot, config.event_spool)
        self._reader = Reader(self._files.folder, self._spool, self.readings)
        self._forwarder = Forwarder(config.node, self._spool)
        self._wake = asyncio.Event()
        self._said: frozenset[str] = frozenset()
        self._dropped_at = -_DROPPED_S
        if self._files.problem:
            _log.warning(self._files.problem)

    @property
    def folder(self) -> Path:
        """Where this agent keeps what ends with the boot; on tmpfs, if that can be."""
        return self._files.folder

    async def recover(self, alive: Iterable[RankKey]) -> None:
        """Find the files of an agent before this one; those of ranks that are not `alive` are read to their end."""
        alive = frozenset(alive)
        try:
            for name, key in (await asyncio.to_thread(self._files.found)).items():
                self._reader.watch(name, key, ended=key not in alive)
        except OSError as error:
            _log.warning("the events of ranks that were started before cannot be read", error=str(error))

    async def make(self, key: RankKey, uid: int, gid: int) -> str:
        """Make the file of a rank that starts; "" if that cannot be done, for the rank can do without."""
        try:
            path = await asyncio.to_thread(self._files.make, key, uid, gid)
        except OSError as error:
            _log.warning("a rank has no events file", rank=str(key), error=str(error))
            return ""
        self._reader.watch(path.name, key)
        self._wake.set()
        return str(path)

    def soon(self) -> None:
        """Look at once: a rank has ended, and its last words matter most."""
        self._wake.set()

    def ended(self, key: RankKey) -> None:
        """Read a rank that is gone to its end."""
        self._reader.end(key)
        self._wake.set()

    async def say(self, name: str, severity: Severity = Severity.INFO, unit: str = "", **body: object) -> bool:
        """Say something as the agent; whether it is kept."""
        return await self._keep(_event(name, severity, body, unit=unit, pid=os.getpid()))

    async def killed(self, seen: RankObservation, number: int) -> None:
        """Say of a rank what it could not say itself: that a signal ended it."""
        said = {"number": number, "name": signal.Signals(number).name if number < signal.SIGRTMIN else f"RT{number}"}
        ended = _event("trainer.signal", Severity.WARNING, said, unit=seen.key.unit, pid=seen.pid)
        await self._keep(replace(ended, rank=seen.key))

    async def _keep(self, event: SpooledEvent) -> bool:
        try:
            refused = await asyncio.to_thread(self._spool.append, [(event, 0)])
        except OSError as error:
            _log.warning("an event of the agent cannot be kept", event_name=event.name, error=str(error))
            return False
        self._forwarder.wake()
        return not refused

    def kept_bytes(self) -> int:
        """Tell how much is kept for the daemon."""
        return self._spool.size_bytes()

    async def push(self, stub: IdentifiedStub) -> None:
        """Hand on what is kept, in one session, until cancelled."""
        await self._forwarder.run(stub)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            self._wake.clear()
            look = await asyncio.to_thread(self._reader.look)
            self._tell(look.problems)
            if look.kept:
                self._forwarder.wake()
            await self._say_dropped()
            if look.more:
                await asyncio.sleep(_MORE_S)
                continue
            pause_s = _AGAIN_S if look.problems else _LOOK_S
            try:
                async with asyncio.timeout(pause_s if self._reader.busy() else None):
                    await self._wake.wait()
            except TimeoutError:
                pass

    def _tell(self, problems: Iterable[str]) -> None:
        """Tell people, each once for as long as it lasts."""
        for problem in sorted(frozenset(problems) - self._said):
            _log.warning(problem)
        self._said = frozenset(problems)

    async def _say_dropped(self) -> None:
        """Say what was lost since it was said last, not too often."""
        now = time.monotonic()
        if now - self._dropped_at < _DROPPED_S:
            return
        self._reader.drop(self._spool.take_damaged(), "the spool was damaged")
        dropped = self._reader.take_dropped()
        if not dropped:
            return
        self._dropped_at = now
        shown: Counter[tuple[str, str]] = Counter()
        for place, ((unit, why), count) in enumerate(dropped.most_common()):
            shown[unit if place < _MOST_DROPPED else "", why] += count
        for (unit, why), count in shown.items():
            if not await self.say("agent.events_dropped", Severity.WARNING, unit, count=count, why=why):
                self._reader.drop(count, why, unit)


def _event(name: str, severity: Severity, body: Mapping[str, object], *, unit: str, pid: int) -> SpooledEvent:
    return SpooledEvent(
        sequence=0,
        name=name,
        severity=severity,
        time=time.time(),
        monotonic=time.monotonic(),
        pid=pid,
        unit=unit,
        body=json.dumps(body),
    )
