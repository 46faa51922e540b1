"""What people do: submit jobs of all kinds, cancel some, ask for restarts. Clients ask until they are answered."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from dlroverd.core.turn import Done, Outcome
from dlroverd.model import input as inp
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.testing.simulator.checks import Checks
from dlroverd.testing.simulator.controller import Controller
from dlroverd.testing.simulator.ranks import Script
from dlroverd.testing.simulator.schedule import Schedule

_RETRY_S = 2.0
_USER = User(uid=1000, gid=1000, name="ann")
_BUGS = ("SyntaxError", "ModuleNotFoundError", "ValueError")


@dataclass(frozen=True, slots=True)
class Plan:
    """One job: what is asked for, and when; it is cancelled `cancel_after_s` after that, if not 0."""

    spec: JobSpec
    submit_after_s: float
    cancel_after_s: float = 0.0


def make_plans(rng: Random, count: int, nodes: int, slots: int, over_s: float) -> tuple[list[Plan], dict[str, Script]]:
    """Think of jobs, and of scripts by name: from one rank to a good part of the fleet, of one to three roles."""
    plans, scripts = [], {}
    for number in range(count):
        roles = [_role(rng, "trainer", nodes, slots)]
        if rng.random() < 0.2:
            roles.append(_role(rng, "evaluator", 2, slots, restart_with=()))
        if rng.random() < 0.1:
            roles.append(_role(rng, "rollout", 4, slots, restart_with=("trainer",), gangs=2))
        spec = JobSpec(
            name=f"job-{number}",
            user=_USER,
            roles=tuple(roles),
            max_restarts=rng.choice((0, 3, 100, 100)),
            time_limit_s=rng.choice((0.0, 0.0, 0.0, 900.0)),
            queue_timeout_s=rng.choice((600.0, 86400.0, 86400.0)),
            cancel_grace_s=5.0,
        )
        scripts[spec.name] = Script(
            work_s=rng.uniform(20.0, 400.0),
            flaky=rng.choice((0.0, 0.0, 0.02)),
            hangs_at_start=rng.choice((0.0, 0.0, 0.001)),
            port_taken=rng.choice((0.0, 0.01)),
            ignores_term=rng.choice((0.0, 0.2)),
            bug=rng.choice(_BUGS) if rng.random() < 0.06 else "",
        )
        plans.append(Plan(spec, rng.uniform(0.0, over_s * 0.7)))
    return plans, scripts


def _role(
    rng: Random, name: str, nodes: int, slots: int, *, gangs: int = 1, restart_with: tuple[str, ...] = ("*",)
) -> RoleSpec:
    most = min(rng.choice((1, 1, 1, 2, 2, 4, 8, 32)), nodes)
    unit = rng.choice((1, 2)) if most % 2 == 0 else 1
    least = rng.choice((most, max(unit, most // 2 // unit * unit)))
    return RoleSpec(
        name=name,
        argv=("/usr/bin/python3", "train.py"),
        cwd="/home/ann",
        gangs=gangs,
        nodes_min=least,
        nodes_max=most,
        node_unit=unit,
        nproc_per_node=rng.choice((1, 1, 2, slots)),
        restart_with=restart_with,
    )


class People:
    """The clients of the daemon."""

    def __init__(
        self,
        *,
        schedule: Schedule,
        rng: Random,
        daemon: Controller,
        checks: Checks,
        plans: list[Plan],
    ) -> None:
        """Have every job asked for in time."""
        self._schedule = schedule
        self._rng = rng
        self._daemon = daemon
        self._checks = checks
        self._requests = 0
        self.jobs: dict[str, int] = {}
        self.refused: list[str] = []
        for plan in plans:
            schedule.after(plan.submit_after_s, partial(self._submit, plan))
            if plan.cancel_after_s:
                at_s = plan.submit_after_s + plan.cancel_after_s
                schedule.after(at_s, partial(self._cancel, plan.spec.name))

    def meddle(self, times: int, over_s: float) -> None:
        """Have so many jobs cancelled, and as many restarted, at any time."""
        for _ in range(times):
            self._schedule.after(self._rng.uniform(0.0, over_s), self._cancel)
            self._schedule.after(self._rng.uniform(0.0, over_s), self._restart)

    def _submit(self, plan: Plan) -> None:
        request = self._next_request()

        def answered(outcome: Outcome) -> None:
            if isinstance(outcome, Done):
                self._checks.accepted(request, outcome.job)
                self.jobs[plan.spec.name] = outcome.job
            else:
                self.refused.append(outcome.sentence)

        self._ask(inp.Submit(request_id=request, spec=plan.spec), answered)

    def _cancel(self, name: str = "") -> None:
        job = self.jobs.get(name) if name else self._any_job()
        if job is not None:
            self._ask(inp.Cancel(request_id=self._next_request(), job=job, actor="ann"), lambda _outcome: None)

    def _restart(self) -> None:
        job = self._any_job()
        if job is not None:
            self._ask(inp.Restart(request_id=self._next_request(), job=job, actor="ann"), lambda _outcome: None)

    def _any_job(self) -> int | None:
        return self._rng.choice(sorted(self.jobs.values())) if self.jobs else None

    def _next_request(self) -> str:
        self._requests += 1
        return f"request-{self._requests}"

    def _ask(self, item: inp.Input, answered: Callable[[Outcome], None]) -> None:
        """Ask until there is an answer."""
        answers: list[Outcome] = []

        def again() -> None:
            if not answers:
                self._daemon.put(item, first)
                self._schedule.after(_RETRY_S, again)

        def first(outcome: Outcome) -> None:
            answers.append(outcome)
            answered(outcome)

        again()
