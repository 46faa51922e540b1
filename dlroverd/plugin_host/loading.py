"""Finds one plugin among the installed distributions, imports it, and collects what it registers.

Distributions are gone through one by one: pluggy's own loader stops at the first import that fails and imports
plugins that nobody enabled, and one broken entry_points.txt ends `importlib.metadata.entry_points` for all.
Must run in the plugin's own process, except for what `host` trusts.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import Any, get_args

import pluggy

from dlroverd.plugin_api import API_VERSION, CheckVerdict, Devices, DiagnosisRule, NodeCheck, Scheduler, Sink, hooks
from dlroverd.plugin_api.diagnosis import diagnose
from dlroverd.plugin_api.node_check import broken_check, broken_verdict, spec_of
from dlroverd.plugin_host import wire
from dlroverd.plugin_host.failures import PluginError
from dlroverd.plugin_host.wire import Kind

GROUP = "dlroverd.plugins"


@dataclass(slots=True)
class Registered:
    """What one plugin handed over: at most one object of each kind, but any number of node checks, by name."""

    scheduler: Scheduler | None = None
    sink: Sink | None = None
    device: Devices | None = None
    node_check: dict[str, NodeCheck] | None = None
    diagnosis: DiagnosisRule | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds it gives."""
        kinds: tuple[Kind, ...] = get_args(Kind)
        return tuple(kind for kind in kinds if getattr(self, kind) is not None)

    def call(self, question: wire.Question) -> wire.Value:
        """Carry out a call. Raises what the plugin raises; PluginError if it does not give what is asked."""
        match question, self:
            case wire.Place(view=view), Registered(scheduler=scheduler) if scheduler is not None:
                return scheduler.place(view)
            case wire.Read(), Registered(device=device) if device is not None:
                return device.read()
            case wire.Diagnose(view=view), Registered(diagnosis=rule) if rule is not None:
                return diagnose(rule, view)
            case wire.Open(settings=settings), Registered(sink=sink) if sink is not None:
                sink.open(settings)
            case wire.Write(batch=batch), Registered(sink=sink) if sink is not None:
                sink.write(batch)
            case wire.Checks(), Registered(node_check=checks) if checks is not None:
                return tuple(spec_of(check) for check in checks.values())
            case wire.Check(check=name, context=context), Registered(node_check=checks) if checks is not None:
                return _kept(checks[name].run(context))
            case wire.Close(), Registered(sink=sink):
                if sink is not None:
                    sink.close()
            case _:
                raise PluginError(f"it gives {', '.join(self.kinds)} only")
        return None


def _kept(verdict: CheckVerdict) -> CheckVerdict:
    """Give a verdict that keeps the rules. JSON has no word for some that do not."""
    if isinstance(verdict, CheckVerdict) and (broken := broken_verdict(verdict)):
        raise PluginError(broken)
    return verdict


def find(plugin: str) -> EntryPoint:
    """The entry point called `plugin`; PluginError if there is none, or more than one."""
    installed, unreadable = _installed()
    found = [entry for entry in installed if entry.name == plugin]
    if not found:
        names = sorted({entry.name for entry in installed})
        near = difflib.get_close_matches(plugin, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; installed are: {', '.join(names) or 'none'}"
        broken = f" (metadata of {', '.join(unreadable)} cannot be read)" if unreadable else ""
        raise PluginError(f"no installed distribution has a plugin {plugin}{broken}{hint}")
    if len({entry.value for entry in found}) > 1:
        owners = " and ".join(sorted(origin(entry) for entry in found))
        raise PluginError(f"{owners} both have a plugin {plugin}; uninstall one of them")
    return found[0]


def _installed() -> tuple[list[EntryPoint], list[str]]:
    entries: list[EntryPoint] = []
    unreadable: list[str] = []
    for distribution in distributions():
        try:
            entries += distribution.entry_points.select(group=GROUP)
        except Exception:  # noqa: BLE001 isolation edge: broken metadata raises anything, and hides nobody else's
            unreadable.append(str(distribution.locate_file("")))
    return entries, unreadable


def origin(entry: EntryPoint) -> str:
    """Which distribution an entry point is from."""
    return entry.dist.name if entry.dist is not None else entry.value


def version(entry: EntryPoint) -> str:
    """The version of that distribution."""
    return entry.dist.version if entry.dist is not None else ""


def load(entry: EntryPoint) -> Registered:
    """Import a plugin and let it register. PluginError for one that breaks the rules; else what it raises."""
    module = entry.load()
    declared = getattr(module, "DLROVERD_API", None)
    if declared != API_VERSION:
        raise PluginError(
            f"it is written for plugin API {declared}, this is {API_VERSION}; install a release of it for this one"
            if declared is not None
            else f"it does not say which plugin API it is written for; add DLROVERD_API = {API_VERSION} to it"
        )
    plugins = pluggy.PluginManager(hooks.PROJECT)
    plugins.add_hookspecs(hooks)
    try:
        plugins.register(module)
        plugins.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"a hook of it does not match: {' '.join(str(error).split())}") from error
    registered = Registered()
    plugins.hook.dlroverd_register_scheduler(register=_taker(registered, "scheduler", Scheduler))
    plugins.hook.dlroverd_register_sink(register=_taker(registered, "sink", Sink))
    plugins.hook.dlroverd_register_device(register=_taker(registered, "device", Devices))
    plugins.hook.dlroverd_register_node_check(register=_check_taker(registered))
    plugins.hook.dlroverd_register_diagnosis(register=_taker(registered, "diagnosis", DiagnosisRule))
    if not registered.kinds:
        raise PluginError("it registers nothing; mark its dlroverd_register_ functions with @hookimpl")
    return registered


def _check_taker(registered: Registered) -> Callable[[NodeCheck], None]:
    """Make the `register` that a hook of node checks is given."""

    def register(given: object) -> None:
        if not isinstance(given, NodeCheck) or isinstance(given, type):
            what = f"the class {given.__name__}, not an object" if isinstance(given, type) else repr(given)
            raise PluginError(f"it registers {what} where a node check is wanted (see docs/plugins/node_check.md)")
        if broken := broken_check(spec_of(given)):
            raise PluginError(f"{broken} (see docs/plugins/node_check.md)")
        registered.node_check = registered.node_check or {}
        if given.name in registered.node_check:
            raise PluginError(f"it registers two checks named {given.name}; give each its own name")
        registered.node_check[given.name] = given

    return register


def _taker(registered: Registered, kind: str, interface: type[Any]) -> Callable[[Any], None]:
    """Make the `register` that a hook of `kind` is given."""

    def register(given: object) -> None:
        if not isinstance(given, interface) or isinstance(given, type):
            what = f"the class {given.__name__}, not an object" if isinstance(given, type) else repr(given)
            raise PluginError(f"it registers {what} where a {kind} is wanted (see docs/plugins/{kind}.md)")
        if getattr(registered, kind) is not None:
            raise PluginError(f"it registers two of the kind {kind}; make each a plugin of its own")
        setattr(registered, kind, given)

    return register
