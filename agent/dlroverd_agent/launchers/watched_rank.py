"""One rank as the systemd launcher watches it."""

import asyncio
import time
from dataclasses import dataclass, field, replace
from typing import Any

from dlroverd.model.ids import RankKey
from dlroverd.model.world import RankObservation
from dlroverd_agent import evidence
from dlroverd_agent.launchers.control_group import ControlGroup
from dlroverd_agent.launchers.files import DIED_STARTING, RankFiles, Record
from dlroverd_agent.launchers.handover import launch_error
from dlroverd_agent.launchers.unit import ServiceState, launch_fault

_NEVER = float("inf")


@dataclass(slots=True, kw_only=True, eq=False)
class WatchedRank:
    """A rank, and what is known and under way of it.

    `service` holds the newest properties of its unit, heard `heard` times. `adopted`: an earlier agent started it.
    `begun`: its start is over. `executed`: its own program runs, or ran. `ended`: its main process did; `emptied`:
    all others too. `term_at` and `kill_at` are times of the loop; `stirred` wakes the stop when they change, or the
    rank ended.
    """

    key: RankKey
    files: RankFiles
    unit: str
    group: ControlGroup
    record: Record
    service: dict[str, Any] = field(default_factory=dict)
    heard: int = 0
    adopted: bool = False
    executed: bool = False
    emptied: bool = False
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    stirred: asyncio.Event = field(default_factory=asyncio.Event)
    saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    term_at: float = _NEVER
    kill_at: float = _NEVER
    grace_s: float = _NEVER
    stopping: asyncio.Task[None] | None = None
    finishing: asyncio.Task[None] | None = None

    def shorten(self, evidence_s: float, grace_s: float, now: float) -> None:
        """Bring the times of a stop nearer, or set them; never put them off."""
        self.grace_s = min(self.grace_s, grace_s)
        if self.record.requested:
            self.kill_at = min(self.kill_at, now + grace_s)
        else:
            self.term_at = min(self.term_at, now + evidence_s)
        self.stirred.set()

    def ended_by_itself(self) -> Record:
        """Say how the main process ended, of what systemd and its first program said. Blocking."""
        state, why_not = ServiceState.of(self.service), launch_error(self.files)
        record = replace(
            self.record,
            pid=state.pid,
            started_at=self.record.started_at or state.started_at,
            exited_at=state.exited_at or time.time(),
            result=state.result,
        )
        if why_not is None and not record.requested:
            why_not = DIED_STARTING if self.adopted else launch_fault(state, self.unit)
        if why_not:
            return replace(record, launch_error=why_not)
        return replace(record, code=state.code, signal=state.signal)

    def observation(self) -> RankObservation:
        """Say how the rank goes. Blocking if it has ended: its last words are read."""
        record = self.record
        ended = record.exit()
        if ended is not None:
            ended = evidence.with_evidence(self.files, ended)
        return RankObservation(
            key=self.key,
            state=record.state,
            pid=record.pid,
            started_at=record.started_at,
            exit=ended,
            unkillable=record.unkillable,
        )
