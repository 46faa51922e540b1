"""What telemetry has of the ranks of a gang that makes no step: how far each is, and whether its device works."""

import asyncio

from dlroverd.core.records import GangRecord, RankRecord
from dlroverd.core.state import State
from dlroverd.model.hang_sample import Signs
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.series import Series
from dlroverd.runtime.telemetry import TelemetryStore
from dlroverd.runtime.world_views import own_devices

# A driver's sampling shows some use of a device on which nothing runs. One that waits in a collective is all but full.
_IDLE, _BUSY = 0.05, 0.5
# Ranks between two moments at which others may go on: some milliseconds.
_PIECE = 64


class HangSigns:
    """Reads signs from telemetry."""

    def __init__(self, state: State, telemetry: TelemetryStore, clock: Clock) -> None:
        """Nothing is kept."""
        self._state = state
        self._telemetry = telemetry
        self._clock = clock

    async def of(self, gang: GangRecord, quiet_s: float) -> Signs:
        """Give what was read of a gang's ranks since it has made no step."""
        now, steps, idle = self._clock.now(), {}, {}
        for number, record in enumerate(list(self._state.world(gang))):
            if number % _PIECE == _PIECE - 1:
                await asyncio.sleep(0)
            step = self._telemetry.of(record.node, record.key).get("rank_step")
            if step is not None and step.at >= now - quiet_s:
                steps[record.key.rank] = step.value
            if (rests := self._rests(record, now - quiet_s, now)) is not None:
                idle[record.key.rank] = rests
        return Signs(steps, idle)

    def _rests(self, record: RankRecord, since: float, now: float) -> bool | None:
        """Say whether a rank's own device did nothing (True), or was busy (False), each time that it was read."""
        devices = own_devices(self._state, record)
        series = self._telemetry.of(record.node, devices[0]).get("device_busy_ratio") if devices else None
        if series is None or series.at < since:
            return None
        least, most = _range(series, since, now)
        return True if most <= _IDLE else False if least >= _BUSY else None


def _range(series: Series, since: float, now: float) -> tuple[float, float]:
    minutes = [bucket for bucket in series.hour(now) if bucket.at >= since]
    return (
        min((series.value, *(bucket.least for bucket in minutes))),
        max((series.value, *(bucket.most for bucket in minutes))),
    )
