"""What memory alone holds when a job leaves a node: the newest step that all its ranks hold is brought to storage.

Nodes agree on that step through small files beside the checkpoints, since no rank is there any more to agree for them.
A node that has gone takes its part with it, and then there is no such step.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from typing import NamedTuple

from dlroverd_train.vault import commit, layout, plans, stored
from dlroverd_train.vault.persist import Part, Persister
from dlroverd_train.vault.retention import Keep
from dlroverd_train.vault.streams import write_whole

TOGETHER = 60.0
"""Seconds within which the nodes of a job that leaves say what they hold."""

_POLL = 0.1


class Session(NamedTuple):
    """What the ranks of one checkpointer have told of it. `made_by` is the world that they are of."""

    path: str
    bandwidth: float
    keep: Keep | None
    made_by: list[str] | None


class Held(NamedTuple):
    """One save that the memory of a node holds whole."""

    step: int
    sequence: int
    timeline: str


class Range(NamedTuple):
    """An arena, and which of how many nodes its plan has it on."""

    memory: memoryview
    node: int
    nodes: int


def bring(session: Session, ranges: Sequence[Range], persister: Persister, within: float = TOGETHER) -> None:
    """Have the newest save persisted that is newer than what storage has, if there is one.

    Raises NotPersistedError or OSError if it is not known whether there is one.
    """
    found = _whole(ranges)
    node, nodes = next(((each.node, each.nodes) for each in reversed(ranges)), (0, 0))
    held, known = set(found), max((each.step for each in stored.steps(session.path)), default=-1)
    if nodes > 1:
        folder = _folder(session)
        write_whole(os.path.join(folder, str(node)), json.dumps([known, sorted(held)]).encode())
        held, known = _agreed(folder, nodes, within)
    newest = max(held, default=None)
    if newest is None or newest.step <= known:
        return
    persister.streams.cap.rate = session.bandwidth
    for part in found[newest]:
        save = commit.Save(
            session.path, newest.step, f"{newest.timeline[:8]}-{newest.sequence}", part.world, nodes, node, None,
            session.keep, session.made_by,
        )  # fmt: skip
        persister.ask(save, part.asked)


class _Found(NamedTuple):
    world: int
    local: list[int]
    asked: Part


def _whole(ranges: Sequence[Range]) -> dict[Held, list[_Found]]:
    """Give the saves that all ranks of this node hold."""
    found: dict[Held, list[_Found]] = {}
    for memory, _, _ in ranges:
        head = layout.read_head(memory)
        packed = layout.plan_of(memory, head) if head else None
        if not packed:
            continue
        plan, template = plans.unpack(packed)
        for slot, entry in layout.held(memory):
            part = Part(plan.rank, plan.local, memory, slot, plan.file, len(plan.blobs), plan.marks, template)
            held = Held(entry.step, entry.sequence, entry.timeline.hex())
            found.setdefault(held, []).append(_Found(plan.world, plan.local, part))
    return {
        held: parts for held, parts in found.items() if {part.asked.rank for part in parts} == set(parts[0].local)
    }  # fmt: skip


def _folder(session: Session) -> str:
    """Make the folder in which the nodes of this world say what they hold."""
    if not (name := commit.last_of(session.made_by)):
        raise commit.NotPersistedError("the ranks of several nodes did not say which round they are of")
    folder = os.path.join(session.path, name)
    os.makedirs(folder, exist_ok=True)
    return folder


def _agreed(folder: str, nodes: int, within: float) -> tuple[set[Held], int]:
    """Give what all nodes hold, and the newest step that any of them has seen in storage."""
    until, words = time.monotonic() + within, []
    for node in range(nodes):
        where = os.path.join(folder, str(node))
        while not os.path.exists(where):
            if time.monotonic() > until:
                raise commit.NotPersistedError(
                    f"node {node} of {nodes} did not say within {within:g} s which steps it holds"
                )
            time.sleep(_POLL)
        with open(where, encoding="ascii") as file:
            words.append(json.load(file))
    held = set.intersection(*({Held(*each) for each in theirs} for _, theirs in words))
    return held, max(known for known, _ in words)
