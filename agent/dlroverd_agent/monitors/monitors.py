"""Takes the readings of all monitors at set times, and sends them. The newer replace the older; any may be lost."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from dlroverd.model.ids import RankKey
from dlroverd.model.metrics import MOST_SAMPLES, is_known, is_sane
from dlroverd.model.telemetry import Sample, Telemetry
from dlroverd_agent.monitors.host import HostMonitor, MonitorError

# What starts with the agent goes first.
_FIRST_S = 2.0

Source = Callable[[], Sequence[Sample]]

_log = structlog.get_logger()


class Monitors:
    """The monitors of one agent.

    `ranks` gives the pids of those that run. `sources` give what was read elsewhere; of two readings of one thing, that
    of the later source counts. None of them may block.
    """

    def __init__(
        self,
        interval_s: float,
        host: HostMonitor,
        ranks: Callable[[], Mapping[RankKey, int]],
        sources: Sequence[Source],
        send: Callable[[Telemetry], None],
    ) -> None:
        """Nothing is read before `run`."""
        self._interval_s = interval_s
        self._host = host
        self._ranks = ranks
        self._sources = sources
        self._send = send
        self.newest = Telemetry(at=0.0)
        self.dropped = 0
        self.problem = ""
        self._nonsense: set[str] = set()

    async def run(self) -> None:
        """Read and send, for ever."""
        try:
            await asyncio.sleep(min(_FIRST_S, self._interval_s))
            pause_s = random.uniform(0.1, 1.0) * self._interval_s  # noqa: S311 - so that a fleet does not send as one
            while True:
                self.newest = Telemetry(at=time.time(), samples=await self._samples())
                self.repeat()
                await asyncio.sleep(pause_s)
                pause_s = self._interval_s
        finally:
            await self._host.close()

    def repeat(self) -> None:
        """Send the newest readings, if there are any: a daemon that is new has none."""
        if self.newest.samples:
            self._send(self.newest)

    async def _samples(self) -> tuple[Sample, ...]:
        taken = {
            (each.metric, each.device, each.rank): each
            for group in (await self._of_host(), *(source() for source in self._sources))
            for each in group
        }
        sane = [each for each in taken.values() if is_known(each.metric) and is_sane(each.metric, each.value)]
        self.dropped += len(taken) - len(sane[:MOST_SAMPLES])
        self._say_nonsense({key[0] for key in taken} - {each.metric for each in sane})
        return tuple(sane[:MOST_SAMPLES])

    def _say_nonsense(self, metrics: set[str]) -> None:
        """Say once of which metric no reading can be true."""
        for metric in sorted(metrics - self._nonsense):
            _log.warning("readings that cannot be true are left out; see what reads them", metric=metric)
        self._nonsense |= metrics

    async def _of_host(self) -> Sequence[Sample]:
        try:
            samples = await self._host.read(self._ranks())
        except MonitorError as error:
            if not self.problem:
                _log.warning("the readings of this host are missing until it can be read again", reason=str(error))
            self.problem = str(error)
            return ()
        if self.problem:
            _log.info("the host is read again")
            self.problem = ""
        return samples
