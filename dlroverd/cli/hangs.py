"""Hangs as people read of them: what a gang is at, how long it may make no step, and what was found."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlroverd.cli.output import clock, span

if TYPE_CHECKING:
    from dlroverd.model.hang import HangVerdict, HangView, Suspicion
    from dlroverd.model.view import GangView, JobView

_FRAMES = 6


def watched(job: "JobView") -> Iterator[str]:
    """Say of each gang that runs how its steps are watched, and what was found."""
    for name, gang, hang in _gangs(job):
        if hang.off:
            yield f"{name}is not watched for hangs: {hang.off}."
            continue
        budget = next((each for each in hang.budgets if each.phase == hang.phase), None)
        if budget is not None:
            yield (
                f"{name}may make no step for {span(budget.seconds)} while it is at {_phase(hang.phase)} "
                f"({budget.basis}); the last sign of it was {span(hang.quiet_s)} ago."
            )
        yield from _said(name, gang, hang)


def found(job: "JobView") -> Iterator[str]:
    """Say of each gang that hangs, or may, what was found."""
    for name, gang, hang in _gangs(job):
        yield from _said(name, gang, hang)


def _gangs(job: "JobView") -> "Iterator[tuple[str, GangView, HangView]]":
    gangs = [(role.name, gang) for role in job.roles for gang in role.gangs]
    if job.state != "running":
        return
    for role, gang in gangs:
        if gang.hang is not None:
            yield (f"{role}, gang {gang.gang}, " if len(gangs) > 1 else "It "), gang, gang.hang


def _phase(phase: str) -> str:
    return {"step": "its steps", "first_step": "its first step", "init": "its start"}.get(phase, phase)


def _said(name: str, gang: "GangView", hang: "HangView") -> Iterator[str]:
    if hang.suspicion is None:
        return
    suspicion = hang.suspicion
    if suspicion.verdict is None:
        yield (
            f"{name}may hang: no step since step {suspicion.step}, for {span(suspicion.quiet_s)} at "
            f"{clock(suspicion.since)}; the stacks of its {gang.world_size} ranks are being looked at."
        )
    else:
        yield from _verdict(name, suspicion, suspicion.verdict)


def _verdict(name: str, suspicion: "Suspicion", verdict: "HangVerdict") -> Iterator[str]:
    from dlroverd.model.ids import numbers

    yield f"{name}hangs since step {suspicion.step}: {verdict.sentence} ({verdict.confidence:.0%} sure)."
    if suspicion.held_back:
        yield f"It is not restarted: {suspicion.held_back}."
    for group in verdict.groups:
        yield f"    {numbers(group.ranks)}: {group.doing}"
        for frame in group.frames[:_FRAMES]:
            yield f"        {frame}"
