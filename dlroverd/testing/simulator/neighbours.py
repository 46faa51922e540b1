"""What a host's agent finds out by calling those of other hosts.

Whom a call reaches depends on the network between the two, and on the other host: whether it is on, awake, and its
agent alive.
"""

from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

from dlroverd_agent import core

from dlroverd.model.ids import GangKey
from dlroverd.model.world import Assignment, NodeCheck, Peer
from dlroverd.testing.simulator.network import Network

_CALL_EVERY_S = 2.0
_CALL_TIMEOUT_S = 2.0
_LATE_S = 5.0

Later = Callable[[float, Callable[[], None]], None]


class Neighbour(Protocol):
    """Another host, as a caller sees it."""

    core: core.AgentCore | None

    @property
    def answers(self) -> bool:
        """Whether its agent answers calls now."""
        ...


class Neighbours:
    """The calls of one host's agent. `later` runs a call after a while, if the agent lives so long; `tell` feeds it.

    `unfit` is how often the host is found not fit for a world, for no other reason than chance.
    """

    def __init__(
        self,
        name: str,
        rng: Random,
        network: Network,
        later: Later,
        tell: Callable[[core.Input], None],
        *,
        unfit: float,
    ) -> None:
        """Begin with nobody to call."""
        self._name = name
        self._rng = rng
        self._network = network
        self._unfit = unfit
        self._later = later
        self._tell = tell
        self._suspects: tuple[Peer, ...] = ()
        self.hosts: Mapping[str, Neighbour] = {}

    def _reaches(self, node: str) -> bool:
        return self._network.meet(self._name, node) and self.hosts[node].answers

    def check(self, assignment: Assignment) -> None:
        """Look at an assignment, for as long as its master's agent may be late."""
        self._later(self._rng.uniform(0.05, 1.0), lambda: self._conclude(assignment, last=False))

    def _conclude(self, assignment: Assignment, *, last: bool) -> None:
        master = assignment.master
        reached = master is not None and (master.node == self._name or self._reaches(master.node))
        if not (reached or last):
            self._later(_LATE_S, lambda: self._conclude(assignment, last=True))
            return
        check = NodeCheck(
            round=assignment.round,
            problem="the working directory is missing" if self._rng.random() < self._unfit else "",
            reached=master.addresses if master is not None and reached else (),
        )
        self._tell(core.Checked(assignment, check))

    def call(self, suspects: tuple[Peer, ...]) -> None:
        """Call these again and again, and no others."""
        self._suspects = suspects
        for peer in suspects:
            self._call(peer, suspects)

    def _call(self, peer: Peer, suspects: tuple[Peer, ...]) -> None:
        if self._suspects is not suspects:
            return
        answers = self._reaches(peer.node)
        took_s = self._rng.uniform(0.001, 0.02) if answers else _CALL_TIMEOUT_S
        self._later(took_s, lambda: self._tell(core.SuspectCalled(peer.node, answers)))
        self._later(_CALL_EVERY_S, lambda: self._call(peer, suspects))

    def ask(self, peer: Peer, gangs: tuple[GangKey, ...]) -> None:
        """Ask another agent once what it knows of gangs."""
        other = self.hosts[peer.node]
        if self._reaches(peer.node) and other.core is not None:
            heard = core.RoundsHeard(peer.node, other.core.followed.log_id, other.core.known(gangs))
            self._later(self._rng.uniform(0.001, 0.02), lambda: self._tell(heard))
