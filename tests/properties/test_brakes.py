"""Whatever comes in, automation takes no more nodes out of use than its limits allow, and none while it is paused."""

from collections import deque

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dlroverd.core import invariants
from dlroverd.core.handle import handle
from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model import input as inp
from dlroverd.model.hold import AUTOMATION, HoldKind
from dlroverd.model.limits import AutomationLimits, Limits
from dlroverd.model.node import Device, DeviceObservation, DeviceState, NodeFacts, NodeState
from dlroverd.model.reputation import AutomationStage
from dlroverd.model.world import Held, Observed

MOST_NODES = 12
numbers = st.integers(0, MOST_NODES - 1)


class Automation(RuleBasedStateMachine):
    """A small fleet, much bad luck, and people who pause, hold and release; each removal is counted here anew."""

    def __init__(self) -> None:
        super().__init__()
        self.state = State("log")
        self.now = 1e6
        self.boots = [0] * MOST_NODES
        self.removed: deque[float] = deque()
        self.paused = False
        self.removals = 0

    @initialize(
        nodes=st.integers(1, 3),
        share=st.sampled_from((0.0, 0.2, 0.5)),
        ready_share=st.sampled_from((0.0, 0.5, 0.75)),
        stage=st.sampled_from(
            (
                AutomationStage.ACT,
                AutomationStage.ACT,
                AutomationStage.ACT,
                AutomationStage.ADVISE,
                AutomationStage.OBSERVE,
            )
        ),
        fleet=st.integers(4, MOST_NODES),
    )
    def begin(self, nodes: int, share: float, ready_share: float, stage: AutomationStage, fleet: int) -> None:
        automation = AutomationLimits(
            quarantine=stage, window_s=3600.0, nodes=nodes, share=share, ready_share=ready_share
        )
        self.limits = Limits(automation=automation)
        for number in range(fleet):
            self.hello(number, again=False)

    def give(self, item: inp.Input) -> None:
        decision = handle(self.state, (item,), self.now, self.limits)
        limits = self.limits.automation
        for event in decision.events:
            match event:
                case ev.AutomationPaused():
                    self.paused = True
                case ev.AutomationResumed():
                    self.paused = False
                case ev.NodeHeld() if event.hold.owner == AUTOMATION:
                    assert not self.paused, "it was paused"
                    assert limits.quarantine is AutomationStage.ACT, "it may only advise"
                    while self.removed and self.removed[0] <= self.now - limits.window_s:
                        self.removed.popleft()
                    self.removed.append(self.now)
                    self.removals += 1
                    total = len(self.state.nodes)
                    assert len(self.removed) <= max(limits.nodes, int(limits.share * total)), "too many in a window"
                    usable = [n for n in self.state.nodes.values() if n.state is NodeState.READY and not n.holds]
                    assert len(usable) >= limits.ready_share * total, "too few are left"

    @rule(number=numbers, again=st.booleans())
    def hello(self, number: int, again: bool) -> None:
        self.boots[number] += not again
        device = Device(uuid=f"gpu{number}", model="H", memory_bytes=1)
        facts = NodeFacts(hostname="h", address="h", cpus=1, memory_bytes=1, slots=1, devices=(device,))
        self.give(
            inp.NodeHello(
                node=f"n{number}",
                boot_id=f"b{self.boots[number]}",
                facts=facts,
                log_id="log",
                position=0,
                observed=Observed(version=1),
                held=Held(),
            )
        )

    @rule(chosen=st.sets(numbers, min_size=1, max_size=MOST_NODES), times=st.integers(1, 4))
    def go_down_and_come_back(self, chosen: set[int], times: int) -> None:
        for number in sorted(chosen) * times:
            if f"n{number}" in self.state.nodes:
                self.give(inp.NodeSilent(node=f"n{number}"))
                self.give(inp.ConfirmDown(node=f"n{number}", actor="ann"))
                self.hello(number, again=False)

    @rule(chosen=st.sets(numbers, min_size=1, max_size=4), times=st.integers(1, 3))
    def lose_devices(self, chosen: set[int], times: int) -> None:
        for number in sorted(chosen) * times:
            for state in (DeviceState.LOST, DeviceState.OK):
                seen = DeviceObservation(uuid=f"gpu{number}", state=state, detail="off the bus")
                self.give(inp.NodeReport(node=f"n{number}", observed=Observed(version=1, devices=(seen,))))

    @rule(seconds=st.sampled_from((1.0, 600.0, 3599.0, 3600.0, 90000.0)))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (at := self.state.next_deadline()) is not None and at <= until:
            self.now = max(self.now, at)
            self.give(inp.Tick())
        self.now = until

    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        self.give(inp.PauseAutomation(actor="ann", reason="r") if pause else inp.ResumeAutomation(actor="ann"))

    @rule(
        chosen=st.sets(numbers, min_size=1, max_size=4), hold=st.booleans(), owner=st.sampled_from(("ann", AUTOMATION))
    )
    def people(self, chosen: set[int], hold: bool, owner: str) -> None:
        nodes = tuple(f"n{number}" for number in sorted(chosen))
        if hold:
            self.give(
                inp.HoldNodes(request_id="r", nodes=nodes, kind=HoldKind.CORDON, owner=owner, actor="ann", reason="r")
            )
        else:
            self.give(inp.ReleaseNodes(request_id="r", nodes=nodes, owner=owner, actor="ann"))

    @invariant()
    def promises_hold(self) -> None:
        assert invariants.check(self.state) == []


Automation.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestAutomation = Automation.TestCase


def test_automation_does_remove_nodes() -> None:
    """The machine's own moves lead to removals: it does not pass for want of any."""
    fleet = Automation()
    fleet.begin(nodes=2, share=0.0, ready_share=0.5, stage=AutomationStage.ACT, fleet=8)
    fleet.go_down_and_come_back(set(range(8)), times=4)
    assert fleet.removals == 2
    assert len(fleet.state.findings) == 6
    fleet.wait(90000.0)
    assert fleet.removals == 4  # half of the fleet is to be left
