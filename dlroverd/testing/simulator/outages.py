"""Carries a fault trace out on a simulated fleet, and ends each fault when its repair is over."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

from dlroverd.model.fault import ErrorReport
from dlroverd.model.node import DeviceObservation, DeviceState
from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.host import Host
from dlroverd.testing.simulator.inventory import Inventory
from dlroverd.testing.simulator.network import Network
from dlroverd.testing.simulator.scenario import FaultKind
from dlroverd.testing.simulator.schedule import BEGIN, Schedule
from dlroverd.testing.simulator.trace import Fault
from dlroverd.testing.simulator.training import PEER_LOST, Training

# A device plugin is read every 10 s (ByteRobust sees a lost GPU as fast; peers.md 2(h)).
_DEVICE_SEEN_S = 10.0
_CUDA = ErrorReport(
    source="traceback", type="AcceleratorError", message="CUDA error: uncorrectable ECC error encountered"
)


class Outages:
    """The source of all faults. `happened` counts them by kind; those of a node that is off already change nothing."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        rng: Random,
        hosts: dict[str, Host],
        inventory: Inventory,
        training: Training,
        network: Network,
        daemon: Controller,
        slow_to: float,
    ) -> None:
        """Plan nothing yet."""
        self._schedule = schedule
        self._rng = rng
        self._hosts = hosts
        self._inventory = inventory
        self._training = training
        self._network = network
        self._daemon = daemon
        self._slow_to = slow_to
        self._off: Counter[str] = Counter()
        self._errors = 0
        self.happened: Counter[FaultKind] = Counter()

    def plan(self, faults: list[Fault]) -> None:
        """Have each happen in its time."""
        for fault in faults:
            self._schedule.at(BEGIN + fault.at_s, partial(self._begin, fault))

    def _begin(self, fault: Fault) -> None:
        self.happened[fault.kind] += 1
        match fault.kind:
            case FaultKind.HOST_CRASH | FaultKind.HOST_REBOOT:
                self._switch_off([fault.target], fault.repair_s)
            case FaultKind.PDU_OUTAGE:
                self._switch_off(self._inventory.domains["pdu"][fault.target], fault.repair_s)
            case FaultKind.SWITCH_OUTAGE:
                self._cut(self._inventory.domains["switch"][fault.target], fault.repair_s, daemon=True, peers=True)
            case FaultKind.PARTITION:
                self._cut([fault.target], fault.repair_s, daemon=True, peers=False)
            case FaultKind.NIC_DOWN | FaultKind.LINK_FLAP:
                self._cut([fault.target], fault.repair_s, daemon=False, peers=True)
            case FaultKind.GPU_LOST:
                self._lose_device(fault)
            case FaultKind.SLOW_NODE:
                self._slow(fault.target, self._slow_to, fault.repair_s)
            case FaultKind.PROCESS_CRASH:
                self._crash_rank(fault.target)
            case FaultKind.AGENT_CRASH:
                host = self._hosts[fault.target]
                host.wake(host.kill_agent)
                self._later(self._rng.uniform(1.0, 3.0), lambda: host.wake(host.start_agent))
            case FaultKind.DAEMON_CRASH:
                self._daemon.crash()

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        self._schedule.after(delay_s, call)

    def _switch_off(self, nodes: list[str], repair_s: float) -> None:
        for node in nodes:
            self._off[node] += 1
            self._hosts[node].power_off()
            # Hosts come back one by one, even where their power came back at once.
            self._later(repair_s + self._rng.uniform(0.0, 60.0), partial(self._switch_on, node))

    def _switch_on(self, node: str) -> None:
        self._off[node] -= 1
        if not self._off[node]:
            self._hosts[node].boot()

    def _cut(self, nodes: list[str], repair_s: float, *, daemon: bool, peers: bool) -> None:
        for node in nodes:
            if daemon:
                self._network.cut(node)
                self._daemon.doubt(node)
                self._later(repair_s, partial(self._network.heal, node))
            if peers:
                self._network.part(node)
                self._slow(node, 0.0, repair_s)
                self._later(repair_s, partial(self._network.join, node))
                for rank in {rank.key.round_key: rank for rank in self._hosts[node].living()}.values():
                    wait_s = self._training.link_error_s(rank)
                    if wait_s < repair_s:
                        rank.later(wait_s, partial(self._training.crash, rank, PEER_LOST))

    def _slow(self, node: str, pace: float, repair_s: float) -> None:
        host = self._hosts[node]
        self._training.slow(host.living(), node, pace)
        self._later(repair_s, lambda: self._training.hasten(host.living(), node, pace))

    def _lose_device(self, fault: Fault) -> None:
        host = self._hosts[fault.target]
        devices = self._inventory.machines[fault.target].facts.devices
        device = self._rng.choice(devices).uuid
        lost = DeviceObservation(uuid=device, state=DeviceState.LOST, detail="XID 79: it has fallen off the bus")
        well = DeviceObservation(uuid=device, state=DeviceState.OK)
        rank = host.using(device)
        if rank is not None:
            rank.later(self._rng.uniform(0.0, 5.0), lambda: self._training.crash(rank, _CUDA))
        self._later(self._rng.uniform(0.0, _DEVICE_SEEN_S), lambda: host.device(lost))
        self._later(max(fault.repair_s, _DEVICE_SEEN_S), lambda: host.device(well))

    def _crash_rank(self, node: str) -> None:
        living = self._hosts[node].living()
        if living:
            self._errors += 1
            # Another place each time: what fails at one place twice is a bug, and ends the job.
            error = ErrorReport(
                source="traceback", type="RuntimeError", message="unspecified", file="train.py", line=self._errors
            )
            self._training.crash(self._rng.choice(living), error)
