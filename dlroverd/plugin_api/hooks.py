"""The hooks. Each is called once, when the plugin is loaded, and hands one object to the host (of node checks, each).

Owns names and signatures (docs/plugins/ is held to them by a test). Must not call anything.
"""

from collections.abc import Callable

import pluggy

from dlroverd.plugin_api.device import Devices
from dlroverd.plugin_api.diagnosis import DiagnosisRule
from dlroverd.plugin_api.node_check import NodeCheck
from dlroverd.plugin_api.scheduler import Scheduler
from dlroverd.plugin_api.sink import Sink

PROJECT = "dlroverd"

hookimpl = pluggy.HookimplMarker(PROJECT)
hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def dlroverd_register_scheduler(register: Callable[[Scheduler], None]) -> None:
    """Hand over a scheduler: `register(MyScheduler())`."""


@hookspec
def dlroverd_register_sink(register: Callable[[Sink], None]) -> None:
    """Hand over a sink: `register(MySink())`."""


@hookspec
def dlroverd_register_device(register: Callable[[Devices], None]) -> None:
    """Hand over what reads the devices of a host: `register(MyDevices())`."""


@hookspec
def dlroverd_register_node_check(register: Callable[[NodeCheck], None]) -> None:
    """Hand over node checks, as many as there are: `register(MyCheck())` for each."""


@hookspec
def dlroverd_register_diagnosis(register: Callable[[DiagnosisRule], None]) -> None:
    """Hand over a diagnosis rule: `register(MyRule())`."""
