"""Drives the sink as the daemon does: in a process of the plugin host, batch by batch, each until it is taken."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from dlroverd_kafka import KafkaSink

from dlroverd.plugin_api import EventView
from dlroverd.plugin_host.breaker import BreakerLimits
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import HostLimits, PluginConfig
from tests.system.fleet import DEADLINE_S

JOBS = 7
BATCH = 1000
_WRITE_S, _RETRY_S = 30.0, 0.1


def events(count: int, *, first: int = 1, padding: int = 0) -> tuple[EventView, ...]:
    """Make events of `JOBS` jobs in turn, at positions from `first`."""
    return tuple(
        EventView(
            position=position,
            index=position % 2,
            time=1.7e9 + position,
            name="job_moved",
            job=1 + position % JOBS,
            node="",
            body=json.dumps({"to": "running", "padding": "x" * padding}),
            log_id="log",
        )
        for position in range(first, first + count)
    )


def opened(**settings: str) -> KafkaSink:
    """Give a sink in this process, ready."""
    sink = KafkaSink()
    sink.open(settings)
    return sink


@asynccontextmanager
async def hosted(**settings: str) -> AsyncIterator[PluginHost]:
    """Run the sink in a host, as `kafka`; a host that leaves a failing sink alone for half a second only."""
    limits = HostLimits(breaker=BreakerLimits(open_s=0.5))
    host = PluginHost([PluginConfig(name="kafka", settings=settings)], limits)
    await host.start()
    try:
        yield host
    finally:
        await host.close()


async def deliver(host: PluginHost, batch: Sequence[EventView], failed: Callable[[str], None]) -> None:
    """Deliver in batches; one that fails goes again until it is taken, and `failed` is told why."""
    async with asyncio.timeout(DEADLINE_S):
        for start in range(0, len(batch), BATCH):
            part = tuple(batch[start : start + BATCH])
            while True:
                try:
                    await host.write("kafka", part, _WRITE_S)
                    break
                except PluginError as error:
                    failed(str(error))
                await asyncio.sleep(_RETRY_S)
