"""Worlds as diagnosis rules are shown them: made of the state and of telemetry, in pieces, so that no loop waits."""

import asyncio
import statistics
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

from dlroverd.core.diagnosed import standing
from dlroverd.core.records import GangRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.model.diagnosis import Conclusion, Reading, WorldNode, WorldRank, WorldView
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.runtime.series import Series
from dlroverd.runtime.steps import Steps
from dlroverd.runtime.telemetry import TelemetryStore

RECENT = 16
# What a rank does now is held against what it did before that.
_PAST_S, _PAST_AGAIN_S = 300.0, 60.0
# Eight of an agent's intervals: what is older says nothing about now.
_STALE_S = 120.0
# Ranks, or nodes, between two moments at which others may go on: some milliseconds.
_PIECE = 32


@dataclass(slots=True)
class _History:
    """The newest readings of one metric of a rank, and what its past came to when it was last worked out."""

    at: float = 0.0
    recent: "array[float]" = field(default_factory=lambda: array("d"))
    past: float | None = None
    past_at: float = 0.0

    def look(self, series: Series, now: float) -> Reading:
        """Take the newest reading of a series, if that has come since, and give what is known."""
        if series.at != self.at:
            self.at = series.at
            self.recent = self.recent[-(RECENT - 1) :]
            self.recent.append(series.value)
        if now - self.past_at >= _PAST_AGAIN_S:
            self.past_at = now
            before = [bucket.mean for bucket in series.hour(now) if bucket.at < now - _PAST_S]
            self.past = statistics.median(before) if before else None
        return Reading(value=series.value, at=series.at, recent=tuple(self.recent), past=self.past)


class WorldViews:
    """Makes the views, and keeps the newest readings of each rank for the next one."""

    def __init__(self, state: State, telemetry: TelemetryStore, steps: Steps) -> None:
        """Begin with none."""
        self._state = state
        self._telemetry = telemetry
        self._steps = steps
        self._kept: dict[GangKey, dict[RankKey, dict[str, _History]]] = {}

    async def of(self, gang: GangRecord, now: float) -> WorldView:
        """Give a world as it is `now`, before any rule has said anything of it."""
        ranks, nodes = [], []
        before = self._kept.get(gang.key, {})
        kept: dict[RankKey, dict[str, _History]] = {}
        for number, record in enumerate(list(self._state.world(gang))):
            if number % _PIECE == _PIECE - 1:
                await asyncio.sleep(0)
            histories = kept[record.key] = before.get(record.key, {})
            ranks.append(self._rank(record, histories, now))
        self._kept[gang.key] = kept
        for number, name in enumerate(gang.nodes):
            if number % _PIECE == _PIECE - 1:
                await asyncio.sleep(0)
            nodes.append(self._node(gang.key, name, now))
        step, stepped_s = self._steps.newest(gang.key)
        return WorldView(
            job=gang.key.job,
            role=gang.key.role,
            gang=gang.key.gang,
            round=gang.round,
            now=now,
            running_s=max(0.0, now - gang.since),
            step=step,
            stepped_s=stepped_s,
            ranks=tuple(ranks),
            nodes=tuple(nodes),
        )

    def keep_only(self, gangs: Mapping[GangKey, GangRecord]) -> None:
        """Forget the readings of all worlds but those of `gangs`."""
        for key in self._kept.keys() - gangs.keys():
            del self._kept[key]

    def standing(self, gang: GangKey, rule: str, round_: int) -> tuple[Conclusion, ...]:
        """Give what a rule concluded of a world and has not taken back."""
        known = standing(self._state, gang)
        return tuple(each.conclusion for key, each in known if key.rule == rule and each.round.round == round_)

    def _rank(self, record: RankRecord, histories: dict[str, _History], now: float) -> WorldRank:
        series = self._telemetry.of(record.node, record.key)
        fresh = {name: each for name, each in series.items() if now - each.at <= _STALE_S}
        readings = {name: histories.setdefault(name, _History()).look(each, now) for name, each in fresh.items()}
        devices = own_devices(self._state, record)
        return WorldRank(rank=record.key.rank, node=record.node, devices=devices, readings=readings)

    def _node(self, gang: GangKey, name: str, now: float) -> WorldNode:
        grant = self._state.grants.get((name, gang))
        devices = grant.devices if grant is not None else ()
        return WorldNode(
            node=name,
            readings=self._newest(name, "", now),
            devices={uuid: self._newest(name, uuid, now) for uuid in devices},
        )

    def _newest(self, node: str, subject: str, now: float) -> dict[str, Reading]:
        series = self._telemetry.of(node, subject)
        return {
            name: Reading(value=each.value, at=each.at) for name, each in series.items() if now - each.at <= _STALE_S
        }


def own_devices(state: State, rank: RankRecord) -> tuple[str, ...]:
    """Give the device that a rank has for itself, if it has one."""
    grant = state.grants.get((rank.node, rank.key.gang_key))
    # The grant may be of a newer world by now.
    own = grant is not None and rank.local_rank < len(grant.devices) == grant.slots
    return (grant.devices[rank.local_rank],) if grant is not None and own else ()
