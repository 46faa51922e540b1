"""The network between hosts: late, lossy, doubling, reordering, and cut where a fault says so.

Two ways can be cut, each as often as faults say so and until as many of them are over: a node's to the daemon, and
its way to the other nodes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from dlroverd.testing.simulator.schedule import Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How bad the network is while it is not cut: shares of messages that are lost, doubled and slow, and delays."""

    loss: float = 0.01
    double: float = 0.01
    slow: float = 0.02
    slow_s: float = 5.0
    latency_s: float = 0.02


class Network:
    """Carries messages, each of which is a call to make at the other end."""

    def __init__(self, schedule: Schedule, rng: Random, weather: Weather) -> None:
        """Begin whole, but unreliable until `calm`."""
        self._schedule = schedule
        self._rng = rng
        self._weather = weather
        self._cut: Counter[str] = Counter()
        self._apart: Counter[str] = Counter()
        self.calm = False

    def cut(self, node: str) -> None:
        """Let nothing pass between the daemon and a node."""
        self._cut[node] += 1

    def heal(self, node: str) -> None:
        """End one cut of a node's way to the daemon, unless all have ended."""
        self._cut[node] = max(0, self._cut[node] - 1)

    def part(self, node: str) -> None:
        """Let nothing pass between a node and the others."""
        self._apart[node] += 1

    def join(self, node: str) -> None:
        """End one cut of a node's way to the others, unless all have ended."""
        self._apart[node] = max(0, self._apart[node] - 1)

    def settle(self) -> None:
        """End all cuts, and be reliable from now on."""
        self._cut.clear()
        self._apart.clear()
        self.calm = True

    def passes(self, node: str) -> bool:
        """Whether the daemon and a node can reach each other."""
        return not self._cut[node]

    def meet(self, one: str, other: str) -> bool:
        """Whether two nodes can reach each other."""
        return one == other or not (self._apart[one] or self._apart[other])

    def send(self, node: str, deliver: Callable[[], None], *, once: bool = False) -> None:
        """Carry a message between the daemon and `node`; `once`: never lost or doubled, as what opens a session."""
        if not self.passes(node):
            return
        weather, copies = self._weather, 1
        if not (once or self.calm):
            chance = self._rng.random()
            copies = 0 if chance < weather.loss else 2 if chance < weather.loss + weather.double else 1
        for _ in range(copies):
            slow = not self.calm and self._rng.random() < weather.slow
            delay_s = self._rng.uniform(0.0, weather.slow_s) if slow else self._rng.uniform(0.0005, weather.latency_s)
            self._schedule.after(delay_s, lambda: deliver() if self.passes(node) else None)
