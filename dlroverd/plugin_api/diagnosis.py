"""What a diagnosis plugin gives: a rule that looks at worlds and says what ails them."""

import math
import re
from typing import Protocol, TypeVar, runtime_checkable

from dlroverd.model.diagnosis import Action, Conclusion, Diagnosed, Finding, WorldView

_T = TypeVar("_T")

_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
# A world of which a rule says more ails as a whole.
_MOST = 64
_SENTENCE_CHARS = 500


@runtime_checkable
class DiagnosisRule(Protocol):
    """Looks at a world, concludes what ails it, and says what to do. Each call is pure: it keeps nothing."""

    def observe(self, view: WorldView) -> tuple[Finding, ...]:
        """Say what is seen in a world that runs. What is absent in the view is unknown, and no finding."""
        ...

    def conclude(self, findings: tuple[Finding, ...]) -> tuple[Conclusion, ...]:
        """Say what the findings come to: all that ails the world now. What was said before and is not now has ended."""
        ...

    def prescribe(self, conclusions: tuple[Conclusion, ...]) -> tuple[Action, ...]:
        """Say what is to be done. How far that goes is for the daemon's configuration and brakes to decide."""
        ...


def diagnose(rule: DiagnosisRule, view: WorldView) -> Diagnosed:
    """Have a rule look at a world. Raises what it raises; ValueError, with one sentence, if it breaks a rule."""
    findings = _given("observe", rule.observe(view), Finding)
    conclusions = _given("conclude", rule.conclude(findings), Conclusion)
    actions = _given("prescribe", rule.prescribe(conclusions), Action)
    said = Diagnosed(findings=findings, conclusions=conclusions, actions=actions)
    if problem := broken_rule(view, said):
        raise ValueError(problem)
    return said


def _given(call: str, value: tuple[_T, ...], kind: type[_T]) -> tuple[_T, ...]:
    if not (isinstance(value, tuple) and all(isinstance(each, kind) for each in value)):
        raise ValueError(f"{call}() returned {type(value).__name__}, where a tuple of {kind.__name__} is wanted")
    return value


def broken_rule(view: WorldView, said: Diagnosed) -> str:
    """Name the first rule that what was said of a world breaks; "" if it keeps all."""
    nodes = {rank.rank: rank.node for rank in view.ranks}
    devices = {node.node: node.devices for node in view.nodes}
    for each in said.conclusions:
        if not _KIND.fullmatch(each.kind):
            return f"{each.kind!r:.60} is no kind of conclusion: up to 40 lowercase letters, digits and _"
        if not each.sentence or max(map(len, (each.sentence, *each.evidence))) > _SENTENCE_CHARS:
            return f"a {each.kind} has no sentence, or one of more than {_SENTENCE_CHARS} characters"
        if each.rank != -1 and each.rank not in nodes:
            return f"a {each.kind} names rank {each.rank}, which the world does not have"
        if each.node and each.node not in devices:
            return f"a {each.kind} names node {each.node:.60}, on which the world has no rank"
        if each.rank != -1 and each.node != nodes[each.rank]:
            return f"a {each.kind} names rank {each.rank} on {each.node or 'no node'}, and it is on {nodes[each.rank]}"
        if each.device and each.device not in devices.get(each.node, ()):
            return f"a {each.kind} names device {each.device:.60}, which is not one of the world's on its node"
        if not 0.0 <= each.confidence <= 1.0:
            return f"a {each.kind} has confidence {each.confidence}, which is not from 0 to 1"
        if not math.isfinite(each.since):
            return f"a {each.kind} is since {each.since}, which is no time"
    named = [(each.kind, each.rank, each.node) for each in said.conclusions]
    if len(set(named)) < len(named):
        return "it concludes the same of the same rank and node twice"
    if len(named) > _MOST or len(said.findings) > _MOST:
        return f"it says more than {_MOST} things of one world"
    stray = [each for each in said.actions if (each.kind, each.rank, each.node) not in named]
    return f"it prescribes {stray[0].remedy} for what it did not conclude" if stray else ""
