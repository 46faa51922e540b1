"""Faults that are made here on purpose: a person wants to see what recovery costs.

What is frozen is noted on disk before, so that it is thawed also when the agent dies meanwhile. A drill itself is
nowhere on disk: none is carried out twice, and none outlives the agent it was ordered of.
"""

import asyncio
import ctypes
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from dlroverd.model.ids import RankKey
from dlroverd.model.world import Drill, DrillKind
from dlroverd.protocol import notify
from dlroverd_agent.launchers.files import key_of
from dlroverd_agent.launchers.interface import Disturbance, Launcher
from dlroverd_agent.launchers.shim import replace_file

_UNDONE_BY: dict[Disturbance, Disturbance] = {"freeze": "thaw", "hang": "resume"}
_SIGEV_SIGNAL = 0
_NS = 1_000_000_000

_log = structlog.get_logger()


class Drills:
    """Carries out drills on one node. `running` gives the ranks that run, `reconnect` begins a new session."""

    def __init__(
        self,
        launcher: Launcher,
        state_dir: Path,
        running: Callable[[], Iterable[RankKey]],
        reconnect: Callable[[], None],
    ) -> None:
        self._launcher = launcher
        self._note = state_dir / "frozen.json"
        self._running = running
        self._reconnect = reconnect
        self._frozen: dict[RankKey, Disturbance] = {}

    async def recover(self) -> None:
        """Thaw what an agent that died in the middle of a drill left frozen. Once, after the launcher's `recover`."""
        try:
            for unit, hold in (await asyncio.to_thread(self._noted)).items():
                if key := key_of(unit):
                    await self._release(key, hold)
                    _log.warning("a rank that a drill had left frozen goes on", rank=str(key))
            await asyncio.to_thread(self._write)
        except (OSError, ValueError) as error:
            _log.error("what a drill left frozen is not known; look for stopped ranks", error=str(error))

    async def carry_out(self, drill: Drill) -> None:
        """Make the fault; what it freezes is thawed before this returns. One that cannot be made is told of."""
        _log.warning("a drill is carried out", kind=drill.kind.value, rank=str(drill.rank or ""), for_s=drill.for_s)
        try:
            match drill.kind:
                case DrillKind.KILL_AGENT:
                    os.kill(os.getpid(), signal.SIGKILL)
                case DrillKind.LOSE_NODE:
                    await self._lose_node(drill.for_s)
                case DrillKind.KILL_RANK if drill.rank is not None:
                    await self._launcher.disturb(drill.rank, "kill")
                case DrillKind.FREEZE_RANK | DrillKind.HANG_RANK if drill.rank is not None:
                    hold: Disturbance = "freeze" if drill.kind is DrillKind.FREEZE_RANK else "hang"
                    async with self._held((drill.rank,), hold):
                        await asyncio.sleep(drill.for_s)
        except (ValueError, OSError) as error:
            _log.warning("a drill could not be carried out", kind=drill.kind.value, error=str(error))

    async def _lose_node(self, for_s: float) -> None:
        """Behave as a host that is frozen: its ranks do not run, its kernel takes calls, nobody answers them."""
        async with self._held(tuple(self._running()), "freeze"):
            stop_self(for_s)
        self._reconnect()  # the new hello tells the daemon that the drill is over, however short it was

    @asynccontextmanager
    async def _held(self, keys: tuple[RankKey, ...], hold: Disturbance) -> AsyncIterator[None]:
        """Keep ranks from running, those of them that do."""
        self._frozen |= dict.fromkeys(keys, hold)
        try:
            await asyncio.to_thread(self._write)
            for key in keys:
                try:
                    await self._launcher.disturb(key, hold)
                except ValueError as error:
                    _log.warning("a rank cannot be frozen", error=str(error))
            yield
        finally:
            for key in keys:
                await self._release(key, hold)
                self._frozen.pop(key, None)
            await asyncio.to_thread(self._write)

    async def _release(self, key: RankKey, hold: Disturbance) -> None:
        try:
            await self._launcher.disturb(key, _UNDONE_BY[hold])
        except ValueError:
            pass  # it has ended
        except OSError as error:
            _log.error("a rank that a drill froze cannot be thawed; resume it by hand", rank=str(key), error=str(error))

    def _noted(self) -> dict[str, Disturbance]:
        try:
            noted = json.loads(self._note.read_bytes())
        except FileNotFoundError:
            return {}
        return {unit: hold for unit, hold in noted.items() if hold in _UNDONE_BY}

    def _write(self) -> None:
        if self._frozen:
            noted = {key.unit: hold for key, hold in self._frozen.items()}
            replace_file(str(self._note), json.dumps(noted).encode())
        else:
            self._note.unlink(missing_ok=True)


class _SigEvent(ctypes.Structure):
    """struct sigevent of sigevent(3): 64 bytes."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("rest", ctypes.c_char * 48),
    )


class _TimerSpec(ctypes.Structure):
    """struct itimerspec of timer_settime(2)."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("after_s", ctypes.c_long),
        ("after_ns", ctypes.c_long),
    )


def stop_self(for_s: float) -> None:
    """Stop this process, and have the kernel continue it after `for_s` seconds: nobody else has to live for that.

    Systemd's watchdog is told before, as it would end a process that says nothing. OSError if there is no timer.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timer = ctypes.c_void_p()
    event = _SigEvent(signo=signal.SIGCONT, notify=_SIGEV_SIGNAL)
    after_s, after_ns = divmod(max(1, int(for_s * _NS)), _NS)  # 0 would disarm it
    watchdog_s = notify.watchdog_s()
    if watchdog_s is not None:
        notify.watch_every(for_s + watchdog_s)
    if libc.timer_create(time.CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)) or libc.timer_settime(
        timer, 0, ctypes.byref(_TimerSpec(after_s=after_s, after_ns=after_ns)), None
    ):
        raise OSError(ctypes.get_errno(), "no timer can be had")
    os.kill(os.getpid(), signal.SIGSTOP)
    libc.timer_delete(timer)
    if watchdog_s is not None:
        notify.watch_every(watchdog_s)
        notify.alive()
