"""Has the diagnosis rules look at every world that runs, at set times; what they say enters the core as inputs.

A rule that is late, raises or says what makes no sense has said nothing: what it said before stands until it is too
old. Nothing waits for any of it.
"""

import asyncio
from dataclasses import replace

from dlroverd.core.diagnosed import is_live, standing
from dlroverd.core.records import GangRecord
from dlroverd.core.state import State
from dlroverd.model import input as inp
from dlroverd.model.diagnosis import Diagnosed, WorldView
from dlroverd.model.ids import GangKey
from dlroverd.model.job import GangState
from dlroverd.model.limits import DiagnosisLimits
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.runtime.clock import Clock
from dlroverd.runtime.inbox import Entry, Inbox
from dlroverd.runtime.world_views import WorldViews

_KIND = "diagnosis"


class Diagnoses:
    """The rounds of all rules."""

    def __init__(
        self,
        *,
        state: State,
        inbox: Inbox,
        host: PluginHost,
        views: WorldViews,
        clock: Clock,
        limits: DiagnosisLimits,
    ) -> None:
        """Nothing is looked at before `run`."""
        self._state = state
        self._inbox = inbox
        self._host = host
        self._views = views
        self._clock = clock
        self._limits = limits

    async def run(self) -> None:
        """Look at all worlds, again and again, for ever."""
        while True:
            await asyncio.sleep(self._limits.interval_s)
            await self.look()

    async def look(self) -> None:
        """Have every rule look at every world that runs, once."""
        rules = [plugin.name for plugin in self._host.inventory() if _KIND in plugin.kinds]
        running = {key: gang for key, gang in self._state.gangs.items() if gang.state is GangState.RUNNING}
        self._views.keep_only(running)
        for rule in rules:
            self._end_old(rule)
        for key in running if rules else ():
            gang = self._state.gangs.get(key)
            if gang is not None and gang.state is GangState.RUNNING:
                view = await self._views.of(gang, self._clock.now())
                for rule in rules:
                    await self._ask(rule, gang, view)

    async def _ask(self, rule: str, gang: GangRecord, view: WorldView) -> None:
        seen = replace(view, standing=self._views.standing(gang.key, rule, gang.round))
        try:
            said = await self._host.diagnose(rule, seen, self._limits.answer_s)
        except PluginError:
            return  # `plugin list` has its last error
        if said.conclusions or seen.standing:
            self._tell(rule, gang.key, gang.round, said)

    def _end_old(self, rule: str) -> None:
        """Take back what a rule said of worlds that are over."""
        for gang in {key.gang for key, each in self._state.diagnoses.items() if key.rule == rule}:
            over = [each.round.round for _, each in standing(self._state, gang) if not is_live(self._state, each.round)]
            if over:
                self._tell(rule, gang, over[0], Diagnosed(findings=(), conclusions=(), actions=()))

    def _tell(self, rule: str, gang: GangKey, round_: int, said: Diagnosed) -> None:
        self._inbox.offer(
            Entry(
                inp.WorldDiagnosed(rule=rule, round=gang.at(round_), conclusions=said.conclusions, actions=said.actions)
            )
        )
