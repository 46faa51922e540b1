"""The jobs of a scenario: what is submitted when, and what each job's script is like."""

from random import Random

from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.testing.simulator.people import Plan
from dlroverd.testing.simulator.scenario import JobClass, Scenario
from dlroverd.testing.simulator.trace import DAY_S, draw
from dlroverd.testing.simulator.training import Script

_USER = User(uid=1000, gid=1000, name="ann")
# The fleet's agents have all said hello by then.
_BEGIN_S = 60.0


def make_jobs(scenario: Scenario, chance: Random) -> tuple[list[Plan], dict[str, Script]]:
    """Draw the jobs of all classes, and their scripts by name."""
    plans: list[Plan] = []
    scripts: dict[str, Script] = {}
    widest = max(group.slots for group in scenario.fleet)
    for jobs in scenario.workload:
        own = Random(chance.random())  # noqa: S311 - so that one class shifts no other's times
        times = [_BEGIN_S] * jobs.at_start
        at_s = 0.0
        while jobs.per_day and (at_s := at_s + own.expovariate(jobs.per_day / DAY_S)) < scenario.days * DAY_S:
            times.append(_BEGIN_S + at_s)
        for number, time in enumerate(times):
            name = f"{jobs.name}-{number}"
            scripts[name] = Script(work_s=draw(jobs.work, own), times=jobs.training, bug=own.random() < jobs.bugs)
            cancel_s = own.uniform(0.0, scripts[name].work_s) if own.random() < jobs.cancelled else 0.0
            plans.append(Plan(_spec(jobs, name, widest), time, cancel_s))
    return plans, scripts


def _spec(jobs: JobClass, name: str, widest: int) -> JobSpec:
    least, most = jobs.nodes_range
    start_s = jobs.training.start.p90 or jobs.training.start.median
    return JobSpec(
        name=name,
        user=_USER,
        roles=(
            RoleSpec(
                argv=("/usr/bin/python3", "train.py"),
                cwd="/home/ann",
                nodes_min=least,
                nodes_max=most,
                nproc_per_node=jobs.slots or widest,
            ),
        ),
        priority=jobs.priority,
        max_restarts=10,
        start_timeout_s=60.0 + 4.0 * start_s,
        queue_timeout_s=365.0 * DAY_S,
    )
