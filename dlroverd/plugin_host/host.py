"""The plugins of a daemon or an agent: those its configuration enables, each called by its kind's methods.

No stranger's module is ever imported here: a plugin lives in a process of its own (`plugin`, `child`), except
for the few below, which are ours and pure.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from dlroverd.model.diagnosis import Diagnosed, WorldView
from dlroverd.model.placement import NoFit, Placement, PlacementView, Preempt
from dlroverd.model.view import EventView, PluginView
from dlroverd.plugin_api import CheckContext, CheckVerdict, DeviceReading
from dlroverd.plugin_api.node_check import CheckSpec
from dlroverd.plugin_host import wire
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.loading import Registered, find, load, origin, version
from dlroverd.plugin_host.plugin import HostLimits, IsolatedPlugin, PluginConfig

# Run inside the daemon or agent: an entry point of this name, if it is this module. A process would cost each
# placement a millisecond, or a host 30 MiB, and these cannot fail.
INLINE = {
    "fifo": "dlroverd.builtin.fifo",
    "none": "dlroverd_agent.devices.none",
    "slow_link": "dlroverd.builtin.slow_link",
    "straggler": "dlroverd.builtin.straggler",
}


class PluginHost:
    """Starts, calls, lists and ends plugins."""

    def __init__(self, enabled: Sequence[PluginConfig], limits: HostLimits | None = None) -> None:
        """Nothing runs before `start`. ValueError if two plugins have one name."""
        names = [config.name for config in enabled]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two plugins are named {twice[0]}; give each a name of its own")
        self._enabled = enabled
        self._limits = limits or HostLimits()
        self._plugins: dict[str, _Plugin] = {}

    async def start(self) -> None:
        """Begin to bring all plugins up; does not wait for any."""
        for config in self._enabled:
            plugin = _inline(config) or IsolatedPlugin(config, self._limits)
            plugin.start()
            self._plugins[config.name] = plugin

    async def settled(self) -> None:
        """Wait until each plugin is up or has been given up for now."""
        await asyncio.gather(*(plugin.settled() for plugin in self._plugins.values()))

    async def schedule(self, name: str, view: PlacementView, timeout_s: float) -> Placement | NoFit | Preempt:
        """Ask a scheduler. The answer has the right types; that it may be carried out is for the core to check.

        PluginTimeoutError, or PluginError, with one sentence.
        """
        answer = await self._plugin(name).call(wire.Place(view=view), timeout_s)
        if not isinstance(answer, Placement | NoFit | Preempt):
            raise PluginError(f"plugin {name}: place() answered what is no placement")
        return answer

    async def read_devices(self, name: str, timeout_s: float) -> tuple[DeviceReading, ...]:
        """Read this host's devices. The answer has the right types; that it keeps the rules is for the agent to check.

        PluginTimeoutError, or PluginError, with one sentence.
        """
        answer = await self._plugin(name).call(wire.Read(), timeout_s)
        if not isinstance(answer, tuple):
            raise PluginError(f"plugin {name}: read() answered what is no tuple of devices")
        return tuple(each for each in answer if isinstance(each, DeviceReading))

    async def checks(self, name: str, timeout_s: float) -> tuple[CheckSpec, ...]:
        """List a plugin's node checks. PluginTimeoutError, or PluginError, with one sentence."""
        answer = await self._plugin(name).call(wire.Checks(), timeout_s)
        return tuple(each for each in answer if isinstance(each, CheckSpec)) if isinstance(answer, tuple) else ()

    async def check(self, name: str, check: str, context: CheckContext, timeout_s: float) -> CheckVerdict:
        """Make one of a plugin's node checks. PluginTimeoutError, or PluginError, with one sentence."""
        answer = await self._plugin(name).call(wire.Check(check=check, context=context), timeout_s)
        if not isinstance(answer, CheckVerdict):
            raise PluginError(f"plugin {name}: run() answered what is no verdict")
        return answer

    async def diagnose(self, name: str, view: WorldView, timeout_s: float) -> Diagnosed:
        """Have a rule look at a world. What it says keeps the rules; whether it still holds is for the core to check.

        PluginTimeoutError, or PluginError, with one sentence.
        """
        answer = await self._plugin(name).call(wire.Diagnose(view=view), timeout_s)
        if not isinstance(answer, Diagnosed):
            raise PluginError(f"plugin {name}: diagnose() answered what is no diagnosis")
        return answer

    async def write(self, name: str, batch: tuple[EventView, ...], timeout_s: float) -> dict[tuple[int, int], str]:
        """Give a batch to a sink. To return is to acknowledge all but what is given back, with why it is refused.

        PluginTimeoutError, PluginAwayError, PluginDiedError or PluginError with one sentence: the whole batch is to
        be given again.
        """
        answer = await self._plugin(name).call(wire.Write(batch=batch), timeout_s)
        refused = answer.events if isinstance(answer, wire.Refused) else ()
        return {(event.position, event.index): event.why for event in refused}

    def inventory(self) -> list[PluginView]:
        """All enabled plugins in the order of the configuration."""
        return [plugin.view() for plugin in self._plugins.values()]

    async def close(self) -> None:
        """Close all plugins and end their processes."""
        await asyncio.gather(*(plugin.close() for plugin in self._plugins.values()))

    def _plugin(self, name: str) -> "_Plugin":
        try:
            return self._plugins[name]
        except KeyError:
            raise PluginError(f"plugin {name} is not enabled; add it to the configuration") from None


class _Plugin(Protocol):
    """What isolated and inline plugins have in common."""

    def start(self) -> None: ...
    async def settled(self) -> None: ...
    def view(self) -> PluginView: ...
    async def call(self, question: wire.Question, timeout_s: float) -> wire.Value | wire.Refused: ...
    async def close(self) -> None: ...


def _inline(config: PluginConfig) -> "_InlinePlugin | None":
    """Load a trusted plugin; None if it is none of those, or cannot be found (its process will say why)."""
    if config.entry not in INLINE or config.settings:
        return None
    try:
        entry = find(config.entry)
    except PluginError:
        return None
    if entry.value != INLINE[config.entry]:
        return None
    registered = load(entry)
    view = PluginView(
        name=config.name,
        version=version(entry),
        kinds=registered.kinds,
        origin=origin(entry),
        health="ok",
    )
    return _InlinePlugin(view, registered)


class _InlinePlugin:
    """A trusted plugin inside this process."""

    def __init__(self, view: PluginView, registered: Registered) -> None:
        self._view = view
        self._registered = registered

    def start(self) -> None:
        """Have nothing to start."""

    async def settled(self) -> None:
        """Be ready at once."""

    def view(self) -> PluginView:
        """Say how it is."""
        return self._view

    async def call(self, question: wire.Question, timeout_s: float) -> wire.Value:  # noqa: ARG002 - a child has one
        """Answer at once, or where that may take long beside the loop: what runs here is trusted to."""
        try:
            if isinstance(question, wire.Diagnose):
                return await asyncio.to_thread(self._registered.call, question)
            return self._registered.call(question)
        except PluginError as error:
            raise PluginError(f"plugin {self._view.name}: {error}") from error
        # Isolation edge: one of ours may be wrong, too.
        except Exception as error:
            raise PluginError(f"plugin {self._view.name}: {question.op}() raised {error!r:.400}") from error

    async def close(self) -> None:
        """Have nothing to close."""
