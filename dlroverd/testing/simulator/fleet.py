"""A long life of a whole fleet: a scenario's hosts and jobs under its faults, with the real cores.

Between faults nothing happens: beats are elided (an agent that falls silent is known by its fault), steps and
checkpoints are arithmetic. Every turn's touched promises are checked, the whole state now and then.
"""

import gc
import time
from collections.abc import Callable
from random import Random

from dlroverd.model.limits import Limits
from dlroverd.testing.simulator import scenario as files
from dlroverd.testing.simulator import trace
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.host import Chances, Host
from dlroverd.testing.simulator.inventory import Inventory
from dlroverd.testing.simulator.network import Network, Weather
from dlroverd.testing.simulator.outages import Outages
from dlroverd.testing.simulator.people import People
from dlroverd.testing.simulator.report import Report, Summary
from dlroverd.testing.simulator.scenario import Scenario
from dlroverd.testing.simulator.schedule import BEGIN, Schedule
from dlroverd.testing.simulator.trace import DAY_S, Fault
from dlroverd.testing.simulator.training import Training
from dlroverd.testing.simulator.workload import make_jobs

# Ended jobs leave soon: nobody looks them up, and the log keeps them.
LIMITS = Limits(job_retention_s=3600.0, max_jobs=100_000)
_FULL_CHECK_EVERY_TURNS = 100_000
_HOURS_A_DAY = 24

Told = Callable[[float, int, int], None]


class Fleet:
    """A scenario's fleet. `exact` writes and reads every record with the real codec, and keeps the whole log."""

    def __init__(self, scenario: Scenario, *, faults: list[Fault] | None = None, exact: bool = False) -> None:
        """Build it; nothing has happened yet. Without `faults` they are drawn from the scenario's rates."""
        chance = Random(scenario.seed)  # noqa: S311 - chance that can be repeated
        self.scenario = scenario
        self.inventory = Inventory(scenario, _own(chance))
        self.faults = draw_faults(scenario, self.inventory) if faults is None else faults
        plans, scripts = make_jobs(scenario, _own(chance))
        schedule = Schedule()
        machines = self.inventory.machines
        every = _FULL_CHECK_EVERY_TURNS // 10 if exact else _FULL_CHECK_EVERY_TURNS
        checks = Checks({name: each.facts.slots for name, each in machines.items()}, every)
        weather = Weather(loss=scenario.network.loss, double=0.0, slow=0.0, latency_s=scenario.network.latency)
        network = Network(schedule, _own(chance), weather)
        training = Training(schedule, _own(chance), checks, scripts)
        daemon = Controller(
            schedule=schedule, rng=_own(chance), network=network, checks=checks, limits=LIMITS, exact=exact
        )
        daemon.calm = True
        daemon.put(self.inventory.topology)
        hosts: dict[str, Host] = {}
        for name, machine in machines.items():
            host = Host(
                name,
                machine.facts,
                schedule=schedule,
                rng=_own(chance),
                network=network,
                ranks=training,
                chances=Chances(),
                checks=checks,
            )
            host.daemon = daemon
            host.neighbours.hosts = hosts
            hosts[name] = host
            schedule.after(chance.uniform(0.0, 5.0), host.boot)
        training.stepped = lambda node, progress: hosts[node].stepped(progress)
        self._report = Report(schedule, daemon, training)
        daemon.written = self._report.learn
        self._outages = Outages(
            schedule=schedule,
            rng=_own(chance),
            hosts=hosts,
            inventory=self.inventory,
            training=training,
            network=network,
            daemon=daemon,
            slow_to=scenario.faults.slow_to,
        )
        self._people = People(schedule=schedule, rng=_own(chance), daemon=daemon, checks=checks, plans=plans)
        self._schedule, self._checks, self._daemon = schedule, checks, daemon

    def run(self, told: Told = lambda _day, _turns, _events: None) -> Summary:
        """Run it to its end; `told` is called each virtual hour. Violation when something is not as it must be."""
        self._outages.plan(self.faults)
        began, cpu = time.monotonic(), time.process_time()
        # The collector would look at the whole fleet again and again, which took a third of the time.
        gc.disable()
        try:
            self._live(told)
        finally:
            gc.enable()
        self._checks.whole(self._daemon.state)
        return self._report.summary(
            self.scenario,
            faults={kind.value: count for kind, count in sorted(self._outages.happened.items())},
            checks=self._checks,
            refused=len(self._people.refused),
            wall_s=time.monotonic() - began,
            cpu_s=time.process_time() - cpu,
        )

    def _live(self, told: Told) -> None:
        hours, hour = self.scenario.days * _HOURS_A_DAY, 0
        while hour < hours:
            hour += 1
            day = min(hour, hours) / _HOURS_A_DAY
            self._schedule.run(BEGIN + day * DAY_S)
            told(day, self._checks.turns, self._daemon.disk.events)
            if hour % _HOURS_A_DAY == 0:
                gc.collect()


def draw_faults(scenario: Scenario, inventory: Inventory) -> list[Fault]:
    """Give the faults of a scenario by its rates: the same for one seed, whatever the jobs are."""
    return trace.generate(
        inventory,
        files.rates(scenario.faults),
        Random(f"faults {scenario.seed}"),  # noqa: S311 - as above
        days=scenario.days,
        lemon_factor=scenario.faults.lemon_factor,
    )


def load(path: str, scenario: Scenario) -> list[Fault]:
    """Give the faults of the scenario file at `path`: drawn, or read from the trace that it names."""
    inventory = Inventory(scenario, _own(Random(scenario.seed)))  # noqa: S311 - as above
    if scenario.faults.trace:
        return trace.read(files.resolve_path(path, scenario.faults.trace), inventory)
    return draw_faults(scenario, inventory)


def _own(chance: Random) -> Random:
    """Give one part its own source of chance, so that a change in it shifts no other's."""
    return Random(chance.random())  # noqa: S311 - as above
