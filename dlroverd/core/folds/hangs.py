"""Gangs that make no step, and what their stacks said."""

from dataclasses import replace

from dlroverd.core.state import State
from dlroverd.model import event as ev
from dlroverd.model.hang import Suspicion


def hang_suspected(s: State, e: ev.HangSuspected) -> None:
    suspicion = Suspicion(since=s.m.now, step=e.step, phase=e.phase, quiet_s=e.quiet_s, budget_s=e.budget_s)
    s.put(s.gangs, e.round.gang_key, replace(s.gangs[e.round.gang_key], suspicion=suspicion))


def hang_judged(s: State, e: ev.HangJudged) -> None:
    gang = s.gangs[e.round.gang_key]
    if gang.suspicion is not None:
        judged = replace(gang.suspicion, verdict=e.verdict, held_back=e.held_back) if e.verdict.hung else None
        s.put(s.gangs, gang.key, replace(gang, suspicion=judged))


def hang_ended(s: State, e: ev.HangEnded) -> None:
    s.put(s.gangs, e.round.gang_key, replace(s.gangs[e.round.gang_key], suspicion=None))
