"""What goes wrong, until it stops: ranks, agents and the daemon killed, hosts cut off, frozen and rebooted."""

from collections.abc import Callable
from random import Random

from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.host import Host
from dlroverd.testing.simulator.network import Network
from dlroverd.testing.simulator.ranks import Ranks
from dlroverd.testing.simulator.schedule import Schedule

# How often each comes, on average, for 200 nodes.
_EVERY_S = {"rank": 15.0, "agent": 10.0, "reboot": 30.0, "freeze": 30.0, "cut": 30.0, "daemon": 100.0}


class Faults:
    """The source of all faults but the network's own."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        rng: Random,
        hosts: list[Host],
        ranks: Ranks,
        network: Network,
        daemon: Controller,
    ) -> None:
        """Plan nothing yet."""
        self._schedule = schedule
        self._rng = rng
        self._hosts = hosts
        self._ranks = ranks
        self._network = network
        self._daemon = daemon

    def plan(self, over_s: float) -> int:
        """Have faults happen for `over_s` from now; says how many."""
        kinds: dict[str, Callable[[], None]] = {
            "rank": self._kill_rank,
            "agent": self._kill_agent,
            "reboot": self._reboot,
            "freeze": self._freeze,
            "cut": self._cut,
            "daemon": self._daemon.crash,
        }
        planned = 0
        for kind, call in kinds.items():
            mean_s = _EVERY_S[kind] * (1.0 if kind == "daemon" else max(1.0, 200 / len(self._hosts)))
            at = self._rng.expovariate(1 / mean_s)
            while at < over_s:
                self._schedule.after(at, call)
                planned += 1
                at += self._rng.expovariate(1 / mean_s)
        return planned

    def end(self) -> None:
        """Let everything be well from now on."""
        self._network.settle()
        self._daemon.calm = True
        for host in self._hosts:
            host.calm = True
            host.thaw()
            host.boot()
            host.start_agent()

    def _host(self) -> Host:
        return self._rng.choice(self._hosts)

    def _kill_rank(self) -> None:
        busy = [host for host in self._hosts if host.living()]
        if busy:
            self._ranks.kill(self._rng.choice(self._rng.choice(busy).living()), self._rng.choice((9, 11)))

    def _kill_agent(self) -> None:
        host = self._host()
        host.wake(host.kill_agent)
        self._schedule.after(self._rng.uniform(0.1, 10.0), lambda: host.wake(host.start_agent))

    def _reboot(self) -> None:
        host = self._host()
        host.power_off()
        self._schedule.after(self._rng.choice((3.0, 60.0, 900.0)), host.boot)

    def _freeze(self) -> None:
        host = self._host()
        host.freeze()
        self._schedule.after(self._rng.choice((2.0, 8.0, 60.0, 800.0)), host.thaw)

    def _cut(self) -> None:
        host = self._host()
        self._network.cut(host.name)
        self._daemon.doubt(host.name)
        self._schedule.after(self._rng.choice((1.0, 8.0, 60.0, 800.0)), lambda: self._network.heal(host.name))
