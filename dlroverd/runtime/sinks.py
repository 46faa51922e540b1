"""Brings events to the sinks: each at its own pace, from its own cursor in the log, at least once."""

import asyncio

import structlog

from dlroverd.model.view import EventView
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.changes import Changes
from dlroverd.runtime.envelopes import Known
from dlroverd.runtime.events import views_of
from dlroverd.runtime.journal import Journal
from dlroverd.store.interface import StoreFull

# A batch of some 1,000 records is a few MB on the pipe to the plugin.
_BATCH_RECORDS = 1000
# Each acknowledged batch costs a sync of the log, so what comes in this time goes as one.
_GATHER_S = 0.2
_WRITE_S = 30.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 30.0
_LOG = structlog.get_logger("dlroverd.sinks")


class Feed:
    """One sink's way through the log."""

    def __init__(self, name: str, journal: Journal, changes: Changes, host: PluginHost, known: Known) -> None:
        """Feed the sink plugin called `name`."""
        self.name = name
        self._known = known
        self._journal = journal
        self._changes = changes
        self._host = host

    async def run(self) -> None:
        """Deliver for ever; a sink that fails gets the same batch again after a while."""
        cursor = await self._journal.cursor(self.name)
        with self._changes.follow() as wake:
            while True:
                wake.clear()
                records = await self._journal.read(cursor, _BATCH_RECORDS)
                if not records:
                    await wake.wait()
                    await asyncio.sleep(_GATHER_S)
                    continue
                if records[0].position > cursor + 1 and cursor:
                    _LOG.warning("events were dropped before a sink took them", sink=self.name, after=cursor)
                await self._deliver(tuple(view for record in records for view, _ in views_of(record, self._known)))
                cursor = records[-1].position
                await self._advance(cursor)

    async def _advance(self, cursor: int) -> None:
        while True:
            try:
                return await self._journal.advance_cursor(self.name, cursor)
            except StoreFull:  # the batch was delivered: should this process end now, it goes twice
                await asyncio.sleep(_LAST_RETRY_S)

    async def _deliver(self, batch: tuple[EventView, ...]) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                return await self._host.write(self.name, batch, _WRITE_S)
            except PluginError as error:
                _LOG.warning("a sink did not take events; they go again", sink=self.name, why=str(error))
            await asyncio.sleep(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)
