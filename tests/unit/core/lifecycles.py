"""Writes docs/lifecycles.md from the core's tables: `python -m tests.unit.core.lifecycles` in the repository."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from dlroverd.core import transitions
from dlroverd.model.job import GangState, JobState, RankState
from dlroverd.model.node import NodeState

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lifecycles.md"
_INTRODUCTION = """# Lifecycles

Made from the tables in `dlroverd/core/transitions.py` by `python -m tests.unit.core.lifecycles`; a test compares.
What is not an arrow here can not happen: the core refuses it and changes nothing.
"""
_PARTS: tuple[tuple[str, type[StrEnum], Mapping[Any, Any]], ...] = (
    ("Job", JobState, transitions.JOB),
    ("Gang", GangState, transitions.GANG),
    ("Rank", RankState, transitions.RANK),
    ("Node", NodeState, transitions.NODE),
)


def page() -> str:
    return "\n".join([_INTRODUCTION, *(_part(*part) for part in _PARTS)])


def _part(name: str, states: type[StrEnum], table: Mapping[Any, Any]) -> str:
    first = next(iter(states))
    lines = [f"## {name}", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {first}"]
    lines += [f"    {before} --> {after}: {on}" for (before, on), after in table.items()]
    left = {before for before, _ in table}
    lines += [f"    {state} --> [*]" for state in states if state not in left]
    lines += ["```", "", "| state | when its deadline passes |", "|---|---|"]
    lines += [f"| {state} | {transitions.FOLLOW_UPS.get(state, 'none: it waits for nothing')} |" for state in states]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
