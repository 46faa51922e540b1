"""What the agent decides: which ranks to start, stop, forget, and what to tell the daemon.

Pure, as the daemon's core is: no clock, I/O or ids; the simulator drives this same class. It is the
counterpart of dlroverd/core/desired.py (what it is told) and core/intake/reports.py (what it tells).
"""

from dlroverd_agent.core.actions import (
    Action,
    AskPeer,
    CallSuspects,
    CarryOut,
    Check,
    Followed,
    Forget,
    Reconnect,
    SaveFollowed,
    Say,
    SendObserved,
    Start,
    Stop,
)
from dlroverd_agent.core.agent_core import (
    ACK_LATE_S,
    ASK_EVERY_S,
    CUT_OFF_S,
    AgentCore,
)
from dlroverd_agent.core.inputs import (
    Acked,
    Checked,
    Connected,
    DesiredArrived,
    DevicesSeen,
    Disconnected,
    Input,
    KnownRound,
    RankChanged,
    Recovered,
    RoundsHeard,
    SuspectCalled,
    Ticked,
)

__all__ = (
    "ACK_LATE_S",
    "ASK_EVERY_S",
    "CUT_OFF_S",
    "Acked",
    "Action",
    "AgentCore",
    "AskPeer",
    "CallSuspects",
    "CarryOut",
    "Check",
    "Checked",
    "Connected",
    "DesiredArrived",
    "DevicesSeen",
    "Disconnected",
    "Followed",
    "Forget",
    "Input",
    "KnownRound",
    "RankChanged",
    "Reconnect",
    "Recovered",
    "RoundsHeard",
    "SaveFollowed",
    "Say",
    "SendObserved",
    "Start",
    "Stop",
    "SuspectCalled",
    "Ticked",
)
