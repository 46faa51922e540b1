"""The network between daemon and agents: late, lossy, doubling, reordering, and cut where a fault says so."""

from collections.abc import Callable
from random import Random

from dlroverd.testing.simulator.schedule import Schedule

_LOSS = 0.01
_DOUBLE = 0.01
_SLOW = 0.02


class Network:
    """Carries messages, each of which is a call to make at the other end."""

    def __init__(self, schedule: Schedule, rng: Random) -> None:
        """Begin whole, but unreliable until `calm`."""
        self._schedule = schedule
        self._rng = rng
        self._cut: set[str] = set()
        self.calm = False

    def cut(self, node: str) -> None:
        """Let nothing pass between the daemon and a node."""
        self._cut.add(node)

    def heal(self, node: str) -> None:
        """Let messages pass again."""
        self._cut.discard(node)

    def passes(self, node: str) -> bool:
        """Whether the daemon and a node can reach each other."""
        return node not in self._cut

    def send(self, node: str, deliver: Callable[[], None], *, once: bool = False) -> None:
        """Carry a message between the daemon and `node`; `once`: never lost or doubled, as what opens a session."""
        if not self.passes(node):
            return
        copies = 1
        if not (once or self.calm):
            chance = self._rng.random()
            copies = 0 if chance < _LOSS else 2 if chance < _LOSS + _DOUBLE else 1
        for _ in range(copies):
            slow = not self.calm and self._rng.random() < _SLOW
            delay_s = self._rng.uniform(0.0, 5.0) if slow else self._rng.uniform(0.0005, 0.02)
            self._schedule.after(delay_s, lambda: deliver() if self.passes(node) else None)
