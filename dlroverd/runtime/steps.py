"""How far each world is, as agents say, and how fast. The core hears of it only what something follows from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf

from dlroverd.core.state import State
from dlroverd.core.turn import LIVE_GANG
from dlroverd.model import input as inp
from dlroverd.model.ids import GangKey
from dlroverd.model.world import Progress
from dlroverd.runtime.inbox import Entry, Inbox

# A pace is that of the last one to two minutes; less than a second tells none.
_WINDOW_S, _LEAST_S = 60.0, 1.0
# How often a cadence is looked at again, and what is to be told to ranks soon.
_LOOK_S, _SOON_S = 60.0, 1.0


@dataclass(slots=True)
class _World:
    """What one world was seen at. Times are monotonic seconds; the pace counts from `base` on, then from `later`."""

    newest: Progress
    at: float
    base: tuple[int, float]
    later: tuple[int, float]
    looked_at: float = -inf
    asking: set[str] = field(default_factory=set)

    def take(self, node: str, progress: Progress, now: float) -> None:
        if progress.asks:
            self.asking.add(node)
        if progress.step <= self.newest.step:
            return
        self.newest, self.at = progress, now
        if now - self.later[1] >= _WINDOW_S:
            self.base, self.later = self.later, (progress.step, now)

    def pace(self) -> float:
        """Steps a second; 0 while it is not known."""
        step, since = self.base
        return (self.newest.step - step) / (self.at - since) if self.at - since >= _LEAST_S else 0.0


class Steps:
    """The newest step of each gang's current world."""

    def __init__(self, state: State, inbox: Inbox, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none."""
        self._state = state
        self._inbox = inbox
        self._clock = clock
        self._worlds: dict[int, dict[GangKey, _World]] = {}

    def take(self, node: str, progress: Progress) -> None:
        """Note a gang's step; the first of a world, the last it does again and a checkpoint are news to the core."""
        key = progress.round.gang_key
        gang = self._state.gangs.get(key)
        if gang is None or gang.round != progress.round.round or gang.state not in LIVE_GANG:
            return
        now, worlds = self._clock(), self._worlds.setdefault(key.job, {})
        world = worlds.get(key)
        if world is None or world.newest.round != progress.round:
            start = (progress.step, now)
            world = worlds[key] = _World(progress, now, start, start)
        world.take(node, progress, now)
        if gang.step < 0 or 0 <= gang.redo_to <= progress.step:
            self._inbox.offer(Entry(inp.GangStepped(progress=progress)))
        if progress.checkpoint > gang.checkpoint:
            self._inbox.offer(Entry(inp.GangCheckpointed(progress=progress)))
        all_ask = gang.asks or 0 < len(gang.nodes) <= len(world.asking)
        if all_ask and now - world.looked_at >= self._patience_s(key):
            self._tell_pace(world, now)

    def planned(self, job: int) -> None:
        """Have the ranks of a job that is to be stopped told to save, without waiting for their next step."""
        now = self._clock()
        for key, world in self._worlds.get(job, {}).items():
            gang = self._state.gangs.get(key)
            if gang is not None and gang.round == world.newest.round.round and gang.asks and gang.ask < 0:
                self._tell_pace(world, now)

    def of(self, key: GangKey) -> int:
        """Give the last step seen of a gang's current world, -1 if none was."""
        gang = self._state.gangs[key]
        world = self._worlds.get(key.job, {}).get(key)
        return world.newest.step if world is not None and world.newest.round.round == gang.round else gang.step

    def newest(self, key: GangKey) -> tuple[int, float]:
        """Give the last step seen of a gang's current world, and how long ago that was; (-1, 0) if none was."""
        gang, world = self._state.gangs.get(key), self._worlds.get(key.job, {}).get(key)
        if gang is None or world is None or world.newest.round.round != gang.round:
            return gang.step if gang is not None else -1, 0.0
        return world.newest.step, self._clock() - world.at

    def forget(self, job: int) -> None:
        """Drop what is known of a job that left the state."""
        self._worlds.pop(job, None)

    def _patience_s(self, key: GangKey) -> float:
        gang, job = self._state.gangs[key], self._state.jobs[key.job]
        unsettled = gang.cadence is None and job.spec.checkpoint_interval_s >= 0
        return _SOON_S if not gang.asks or unsettled or job.plan is not None else _LOOK_S

    def _tell_pace(self, world: _World, now: float) -> None:
        """Tell the core where a world is, and its pace."""
        world.looked_at = now
        progress = replace(world.newest, asks=True)
        self._inbox.offer(Entry(inp.GangPaced(progress=progress, steps_per_s=world.pace())))
