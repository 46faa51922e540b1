"""The promises of the core hold whatever kernels and drivers say, and whenever."""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from dlroverd.config.signals import shipped
from dlroverd.model import input as inp
from dlroverd.model.limits import AutomationLimits, Limits
from dlroverd.model.node import Device
from dlroverd.model.signal import Signal
from dlroverd.model.world import Held, Observed, RankObservation
from tests.properties.test_core import FACTS, CoreMachine, nodes

said = st.builds(
    Signal,
    name=st.sampled_from(("xid.79", "xid.79", "xid.74", "xid.31", "oom", "link.down", "fs.read_only", "xid.1")),
    at=st.sampled_from((0.0, 990.0, 1000.0, 1010.0)),
    detail=st.just("x"),
    device=st.sampled_from(("", "n1-0", "n2-0", "n9-0")),
    part=st.sampled_from(("", "eth0")),
    count=st.sampled_from((1, 1000)),
    pid=st.sampled_from((0, 1)),
)


class SignalMachine(CoreMachine):
    """The same, on nodes with devices that are not always well, and repaired from time to time."""

    limits = Limits(signals=shipped(), automation=AutomationLimits(ready_share=0.0))

    @staticmethod
    def hello_of(node: str, boot: str, log_id: str, position: int, observed: Observed) -> inp.NodeHello:
        devices = tuple(Device(uuid=f"{node}-{at}", model="m", memory_bytes=1) for at in range(2))
        facts = replace(FACTS, devices=devices)
        return inp.NodeHello(
            node=node, boot_id=boot, facts=facts, log_id=log_id, position=position, observed=observed, held=Held()
        )

    @rule(node=nodes, signals=st.lists(said, min_size=1, max_size=3).map(tuple))
    def say(self, node: str, signals: tuple[Signal, ...]) -> None:
        ranks = tuple(
            RankObservation(key=rank.key, state=rank.state, pid=rank.pid, exit=rank.exit)
            for rank in self.state.ranks.values()
            if rank.node == node
        )
        observed = Observed(version=1, position=self.state.m.position, ranks=ranks, signals=signals)
        self.give(inp.NodeReport(node=node, observed=observed))
        again = self.give(inp.NodeReport(node=node, observed=observed)).events
        assert not [each for each in again if type(each).__name__ == "SignalSeen"], "told again, and taken again"

    @rule(named=st.sets(nodes, min_size=1))
    def repair(self, named: set[str]) -> None:
        self.give(inp.ClearNodes(request_id=self.request(), nodes=tuple(sorted(named)), actor="ann", reason="r"))


TestSignals = SignalMachine.TestCase
# The machine without signals has more (test_core.py).
TestSignals.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
