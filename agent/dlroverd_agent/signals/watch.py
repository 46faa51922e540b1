"""Hears what kernel and driver say, and has the agent's core tell the daemon. What cannot be heard stops nothing."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import structlog

from dlroverd.model.signal import KEPT, MOST_DETAIL, Signal
from dlroverd.plugin_api import DeviceReading
from dlroverd_agent.signals import kernel_lines
from dlroverd_agent.signals.gathering import Counts, Gathering, Key
from dlroverd_agent.signals.journal import Journal, JournalError, Line
from dlroverd_agent.signals.kept import Kept, SignalsFile

# How often what was held back is looked through, and how soon after a failure the journal is tried again.
_TICK_S, _RETRY_S = 5.0, 60.0
_KERNEL, _DRIVER = "kernel", "driver"

Tell = Callable[[tuple[Signal, ...]], None]

_log = structlog.get_logger()


class SignalWatch:
    """The signals of this host. `recover`, then `run`; `devices` and `counters` may be called in between.

    `tell` gets all that are kept whenever there is a new one; `device_at` names the device at a PCI address, "" if
    there is none. `problem` says why the kernel's log is not heard, "" while it is.
    """

    def __init__(
        self, state_dir: Path, journal: Journal, device_at: Callable[[str], str], tell: Tell, retry_s: float = _RETRY_S
    ) -> None:
        """Nothing is heard before `run`."""
        self._file = SignalsFile(state_dir)
        self._journal = journal
        self._device_at = device_at
        self._tell = tell
        self._retry_s = retry_s
        self._gathering = Gathering()
        self._counts = Counts({})
        self._signals: tuple[Signal, ...] = ()
        self._boot = ""
        self._cursor = ""
        self._changed = False
        self._nonsense: frozenset[Key] = frozenset()
        self.problem = ""

    async def recover(self) -> None:
        """Read what an earlier life of the agent has heard in this boot."""
        kept = await asyncio.to_thread(self._file.load)
        self._boot, self._cursor, self._signals = kept.boot, kept.cursor, kept.signals
        self._counts = Counts(dict(kept.counters))
        if self._signals:
            self._tell(self._signals)

    async def run(self) -> None:
        """Hear, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_kernel())
            group.create_task(self._keep())

    def devices(self, readings: Collection[DeviceReading]) -> None:
        """Take what the driver says now of its devices."""
        now = time.time()
        for reading in readings:
            for event in reading.events:
                self._hear(_DRIVER, _signal(event.name, now, event.detail, device=reading.uuid))
            for name, value in reading.counters.items():
                self._rise((f"gpu.{name}", reading.uuid, ""), value, now)
            said = {f"gpu.{name}": detail for name, detail in reading.faults.items()}
            for name in self._counts.begun(reading.uuid, said):
                self._hear(_DRIVER, _signal(name, now, said[name], device=reading.uuid))
        self._say_nonsense()

    def counters(self, values: Mapping[str, float]) -> None:
        """Take the host's own counters, as `signal part`: "link.down mlx5_0/1"."""
        now = time.time()
        for key, value in values.items():
            name, _, part = key.partition(" ")
            self._rise((name, "", part), value, now)
        self._say_nonsense()

    def _rise(self, key: Key, value: float, now: float) -> None:
        if risen := self._counts.risen(key, value):
            name, device, part = key
            detail = f"{risen} more than at the last look, {value:g} in all"
            self._hear(_DRIVER, replace(_signal(name, now, detail, device=device, part=part), count=risen))

    def _say_nonsense(self) -> None:
        for name, device, part in sorted(self._counts.nonsense - self._nonsense):
            _log.warning("a counter that is no number is left out", counter=name, of=device or part)
        self._nonsense = frozenset(self._counts.nonsense)

    # ---- the kernel

    async def _hear_kernel(self) -> None:
        while True:
            try:
                await self._journal.check()
                self._well()
                async with aclosing(self._journal.follow(self._cursor)) as lines:
                    async for line in lines:
                        self._read(line)
            except JournalError as error:
                if not self.problem:
                    _log.warning("the kernel's log is not heard until it can be read", reason=str(error))
                self.problem = str(error)
            await asyncio.sleep(self._retry_s)

    def _well(self) -> None:
        if self.problem:
            _log.info("the kernel's log is heard again")
            self.problem = ""

    def _read(self, line: Line) -> None:
        self._cursor, self._changed = line.cursor, True
        heard = kernel_lines.read(line.text)
        if heard is None:
            return
        device = self._device_at(heard.pci) if heard.pci else ""
        part = heard.part if device or not heard.pci else heard.pci
        signal = _signal(heard.name, line.at, heard.detail, device=device, part=part)
        self._hear(_KERNEL, replace(signal, count=heard.count, pid=heard.pid))

    # ---- both

    def _hear(self, source: str, signal: Signal) -> None:
        self._add(self._gathering.hear(source, signal))

    def _add(self, new: list[Signal]) -> None:
        fresh = [each for each in new if each not in self._signals]
        if fresh:
            self._signals = (*self._signals, *fresh)[-KEPT:]
            self._changed = True
            self._tell(self._signals)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._add(self._gathering.due(time.time()))
            if self._changed or self._counts.changed:
                self._changed = self._counts.changed = False
                await self.save()

    async def save(self) -> None:
        """Keep what was heard so far."""
        counters = tuple(sorted(self._counts.last.items()))
        kept = Kept(boot=self._boot, signals=self._signals, cursor=self._cursor, counters=counters)
        await asyncio.to_thread(self._file.save, kept)


def _signal(name: str, at: float, detail: str, *, device: str = "", part: str = "") -> Signal:
    return Signal(name=name, at=at, detail=detail[:MOST_DETAIL], device=device, part=part)
