"""One simulated life of a fleet: built, broken for some hours, and left to come to rest."""

import gc
from collections import Counter
from dataclasses import dataclass
from functools import partial
from random import Random

from dlroverd.model.limits import Limits
from dlroverd.model.node import NodeFacts
from dlroverd.model.world import Progress
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.faults import Faults
from dlroverd.testing.simulator.host import Chances, Host
from dlroverd.testing.simulator.network import Network, Weather
from dlroverd.testing.simulator.people import People, make_plans
from dlroverd.testing.simulator.ranks import Ranks
from dlroverd.testing.simulator.schedule import BEGIN, Schedule
from dlroverd.testing.simulator.vaults import SAVED_AFTER_S

SLOTS = 4
PEER_PORT = 7711
# Silence is given up on early, so that within a short life nodes that still run something are.
LIMITS = Limits(unreachable_limit_s=120.0)
CHANCES = Chances(dies=0.002, unfit=0.01)
# After the last fault: the longest frozen or rebooted host is back, and every job has had its work's time.
REST_S = 48 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came of it. `log` is a digest of the whole log: equal runs have equal ones."""

    seed: int
    hours: float
    faults: int
    turns: int
    rank_starts: int
    restarts: int
    daemon_crashes: int
    jobs: dict[str, int]
    refused: int
    log: str


class Simulation:
    """A fleet of `nodes` and the `jobs` it is given."""

    def __init__(self, seed: int, *, nodes: int = 200, jobs: int = 50, hours: float = 0.25) -> None:
        """Build it; nothing has happened yet."""
        self._over_s, self._jobs, self._seed = hours * 3600.0, jobs, seed
        chance = Random(seed)  # noqa: S311 - chance that can be repeated
        names = [f"n{number:03}" for number in range(nodes)]
        plans, scripts = make_plans(chance, jobs, nodes // 2, SLOTS, self._over_s)
        schedule, checks = Schedule(), Checks(dict.fromkeys(names, SLOTS), full_every=100)
        network = Network(schedule, _own(chance), Weather())
        ranks = Ranks(schedule, _own(chance), checks, scripts)
        ranks.stepped = self._stepped
        daemon = Controller(
            schedule=schedule, rng=_own(chance), network=network, checks=checks, limits=LIMITS, exact=True
        )
        self._hosts: dict[str, Host] = {}
        for name in names:
            # The last quarter has agents that answer no others: of an older release, or without TLS.
            port = PEER_PORT if len(self._hosts) < nodes * 3 // 4 else 0
            facts = NodeFacts(
                hostname=name,
                address=name,
                cpus=SLOTS,
                memory_bytes=1 << 34,
                slots=SLOTS,
                addresses=(name,),
                peer_port=port,
            )
            host = Host(
                name,
                facts,
                schedule=schedule,
                rng=_own(chance),
                network=network,
                ranks=ranks,
                chances=CHANCES,
                checks=checks,
            )
            host.daemon = daemon
            host.neighbours.hosts = self._hosts
            self._hosts[name] = host
            schedule.after(chance.uniform(0.0, 5.0), host.boot)
        hosts = list(self._hosts.values())
        self._faults = Faults(
            schedule=schedule, rng=_own(chance), hosts=hosts, ranks=ranks, network=network, daemon=daemon
        )
        self._people = People(schedule=schedule, rng=_own(chance), daemon=daemon, checks=checks, plans=plans)
        self._people.meddle(len(plans) // 8, self._over_s)
        self.schedule, self.checks, self.daemon = schedule, checks, daemon

    def run(self) -> Summary:
        """Run it to its end; Violation when something is not as it must be."""
        faults = self._faults.plan(self._over_s)
        gc.disable()  # it would look at the whole fleet again and again, which took a fifth of the time
        try:
            self.schedule.run(BEGIN + self._over_s)
            self._faults.end()
            self.schedule.run(BEGIN + self._over_s + REST_S, self._at_rest)
        finally:
            gc.enable()
        self.checks.at_rest(self.daemon.state)
        self.daemon.disk.compare(self.daemon.state, self.daemon.disk.replay(from_snapshot=False))
        return self._summary(faults)

    def _at_rest(self) -> bool:
        state = self.daemon.state
        answered = len(self._people.jobs) + len(self._people.refused) == self._jobs
        return (
            answered
            and self.daemon.up
            and not state.grants
            and not state.tombstones
            and not state.verdicts
            and all(job.state.final for job in state.jobs.values())
            and self.daemon.quiet
        )

    def _stepped(self, node: str, progress: Progress) -> None:
        host = self._hosts[node]
        host.stepped(progress)
        for step, delay_s in enumerate(SAVED_AFTER_S):
            save = partial(host.vaults.stage, progress.round, step)
            self.schedule.after(delay_s, partial(host.wake, save))

    def _summary(self, faults: int) -> Summary:
        state = self.daemon.state
        return Summary(
            seed=self._seed,
            hours=(self.schedule.now - BEGIN) / 3600.0,
            faults=faults,
            turns=self.daemon.disk.position,
            rank_starts=self.checks.starts,
            restarts=sum(job.restarts for job in state.jobs.values()),
            daemon_crashes=self.daemon.crashes,
            jobs=dict(sorted(Counter(job.state.value for job in state.jobs.values()).items())),
            refused=len(self._people.refused),
            log=self.daemon.disk.digest,
        )


def _own(chance: Random) -> Random:
    """Give one part its own source of chance, so that a change in it shifts no other's."""
    return Random(chance.random())  # noqa: S311 - as above
