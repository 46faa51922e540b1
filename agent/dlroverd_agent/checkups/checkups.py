"""Makes checkups: runs the checks of the enabled plugins, each in a process of its own that has a deadline.

The processes live for one checkup. A check that hangs costs its process, and is unknown; the others go on.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from dlroverd.config.agent import AgentConfig
from dlroverd.model.checkup import CheckLevel, CheckResult, CheckState, Checkup, CheckupSeen
from dlroverd.model.job import JobSpec
from dlroverd.model.node import DeviceObservation
from dlroverd.plugin_api import CheckContext, CheckedJob
from dlroverd.plugin_api.node_check import CheckSpec, broken_verdict
from dlroverd.plugin_host.breaker import BreakerLimits
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.host import PluginHost
from dlroverd.plugin_host.plugin import HostLimits, PluginConfig
from dlroverd_agent.core import CheckupMade, Input

# Drivers and torch reserve address space that nobody uses: no bound is small enough to say anything.
# A plugin has many checks: that some fail does not keep the others from being made.
_LIMITS = HostLimits(close_s=1.0, memory_bytes=1 << 46, breaker=BreakerLimits(failures=1000))
_SENTENCE_CHARS, _MOST_FIGURES, _MOST_FACTS = 500, 32, 64

_log = structlog.get_logger()


class Checkups:
    """The checkups of one node. `tell` takes what was found, for the core."""

    def __init__(self, config: AgentConfig, tell: Callable[[Input], None]) -> None:
        """Make none yet."""
        self._config = config
        self._tell = tell
        self._made: dict[int, asyncio.Task[None]] = {}
        self.clock_off_s: float | None = None
        self.address = ""

    def make(
        self, checkups: tuple[tuple[Checkup, JobSpec | None], ...], devices: tuple[DeviceObservation, ...], busy: bool
    ) -> None:
        """Make these checkups, each once, and give up all others. `busy`: ranks run here."""
        wanted = {each.id for each, _ in checkups}
        for number in [number for number in self._made if number not in wanted]:
            self._made.pop(number).cancel()
        for each, spec in checkups:
            if each.id not in self._made:
                context = self._context(each, spec, devices, busy=busy)
                self._made[each.id] = asyncio.create_task(self._make(each, context))

    async def close(self) -> None:
        """Give up all of them."""
        for task in self._made.values():
            task.cancel()
        await asyncio.gather(*self._made.values(), return_exceptions=True)

    def _context(
        self, checkup: Checkup, spec: JobSpec | None, devices: tuple[DeviceObservation, ...], *, busy: bool
    ) -> CheckContext:
        job = None
        if spec is not None:
            role = spec.roles[0]
            job = CheckedJob(uid=spec.user.uid, gid=spec.user.gid, argv=role.argv, cwd=role.cwd, env=role.env)
        return CheckContext(
            node=self._config.node,
            state_dir=self._config.state_dir,
            python=self._config.check_python or sys.executable,
            address=self.address,
            clock_off_s=self.clock_off_s,
            devices=devices,
            busy=busy,
            job=job,
            meeting=checkup.meeting,
        )

    async def _make(self, checkup: Checkup, context: CheckContext) -> None:
        host = PluginHost([PluginConfig(name=name) for name in self._config.checks], _LIMITS)
        await host.start()
        try:
            results: list[CheckResult] = []
            for plugin in self._config.checks:
                results += await _of_plugin(host, plugin, checkup, context)
        finally:
            await host.close()
        bad = [f"{each.check}: {each.sentence}" for each in results if each.state is CheckState.BAD]
        if bad:
            _log.warning("this host does not pass its checks", checkup=checkup.id, found="; ".join(bad))
        self._tell(CheckupMade(CheckupSeen(id=checkup.id, results=tuple(results))))


async def _of_plugin(host: PluginHost, plugin: str, checkup: Checkup, context: CheckContext) -> list[CheckResult]:
    """Run the checks that one plugin has for a checkup."""
    try:
        specs = await host.checks(plugin, _LIMITS.load_s)
    except PluginError as error:
        unknown = f"{error}; see the key checks of the agent's configuration"
        return [_result(CheckSpec(name=plugin, level=CheckLevel.INSTANT, cap_s=1), CheckState.UNKNOWN, unknown)]
    deep = checkup.level is CheckLevel.LIGHT
    meets = checkup.meeting is not None
    wanted = [each for each in specs if each.meets is meets and (deep or each.level is CheckLevel.INSTANT)]
    return [await _run(host, plugin, each, context) for each in wanted]


async def _run(host: PluginHost, plugin: str, spec: CheckSpec, context: CheckContext) -> CheckResult:
    began = time.monotonic()
    try:
        verdict = await host.check(plugin, spec.name, context, spec.cap_s)
    except PluginError as error:
        return _result(spec, CheckState.UNKNOWN, str(error), time.monotonic() - began)
    took_s = time.monotonic() - began
    if broken := broken_verdict(verdict):
        return _result(spec, CheckState.UNKNOWN, f"plugin {plugin}: {broken}", took_s)
    return replace(
        _result(spec, verdict.state, verdict.sentence, took_s),
        figures=verdict.figures[:_MOST_FIGURES],
        facts=dict(list(verdict.facts.items())[:_MOST_FACTS]),
        of_job=verdict.of_job,
    )


def _result(spec: CheckSpec, state: CheckState, sentence: str, took_s: float = 0.0) -> CheckResult:
    text = " ".join(sentence.split())[:_SENTENCE_CHARS]
    return CheckResult(check=spec.name, level=spec.level, state=state, sentence=text, took_s=round(took_s, 3))
