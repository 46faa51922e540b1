"""Suites that every plugin of a kind passes, to be run by its author in three lines:

from dlroverd.testing.conformance import SinkConformance

class TestMySink(SinkConformance):
    make = MySink
"""

from dlroverd.testing.conformance.device import DeviceConformance
from dlroverd.testing.conformance.diagnosis import DiagnosisConformance
from dlroverd.testing.conformance.node_check import NodeCheckConformance
from dlroverd.testing.conformance.scheduler import SchedulerConformance
from dlroverd.testing.conformance.sink import SinkConformance

__all__ = [
    "DeviceConformance",
    "DiagnosisConformance",
    "NodeCheckConformance",
    "SchedulerConformance",
    "SinkConformance",
]
