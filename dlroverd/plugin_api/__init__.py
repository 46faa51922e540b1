"""All that a plugin may import of ours, beside `dlroverd.model`. See docs/plugins/.

A plugin is a module behind an entry point of the group `dlroverd.plugins`. It says `DLROVERD_API = 1` and
implements hooks marked with `hookimpl`, which hand objects to the host. Must not import anything but the model.
"""

from dlroverd.model.checkup import CheckLevel, CheckState, Figure, Meeting
from dlroverd.model.diagnosis import (
    Action,
    Conclusion,
    Finding,
    Reading,
    Remedy,
    WorldNode,
    WorldRank,
    WorldView,
)
from dlroverd.model.free_index import FreeIndex
from dlroverd.model.place import place
from dlroverd.model.placement import (
    FreeNode,
    GangPlacement,
    GangRequest,
    NoFit,
    Placement,
    PlacementRequest,
    PlacementView,
    Preempt,
    RunningJob,
)
from dlroverd.model.victims import place_or_preempt
from dlroverd.model.view import EventView
from dlroverd.plugin_api.cloud_events import cloud_event
from dlroverd.plugin_api.device import DeviceEvent, DeviceProcess, DeviceReading, Devices
from dlroverd.plugin_api.diagnosis import DiagnosisRule
from dlroverd.plugin_api.hooks import hookimpl
from dlroverd.plugin_api.node_check import CheckContext, CheckedJob, CheckVerdict, NodeCheck
from dlroverd.plugin_api.scheduler import Scheduler
from dlroverd.plugin_api.sink import EventsRefused, Sink

# Rises when a hook or an interface changes so that a plugin written before would break.
API_VERSION = 1

__all__ = [
    "API_VERSION",
    "Action",
    "CheckContext",
    "CheckLevel",
    "CheckState",
    "CheckVerdict",
    "CheckedJob",
    "Conclusion",
    "DeviceEvent",
    "DeviceProcess",
    "DeviceReading",
    "Devices",
    "DiagnosisRule",
    "EventView",
    "EventsRefused",
    "Figure",
    "Finding",
    "FreeIndex",
    "FreeNode",
    "GangPlacement",
    "GangRequest",
    "Meeting",
    "NoFit",
    "NodeCheck",
    "Placement",
    "PlacementRequest",
    "PlacementView",
    "Preempt",
    "Reading",
    "Remedy",
    "RunningJob",
    "Scheduler",
    "Sink",
    "WorldNode",
    "WorldRank",
    "WorldView",
    "cloud_event",
    "hookimpl",
    "place",
    "place_or_preempt",
]
