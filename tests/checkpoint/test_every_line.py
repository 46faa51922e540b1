"""A save that ends at any line of our code leaves whole steps only: the newest one before it, or the new one."""

import io
import sys
from types import FrameType
from typing import Any

import torch
from dlroverd_train.checkpoint import _planning, _slots
from dlroverd_train.checkpoint._meeting import Meeting
from dlroverd_train.vault import layout
from torch.distributed.checkpoint import DefaultSavePlanner

from tests.checkpoint.roles import plain_state

OURS = (_slots.__file__, layout.__file__)


class EndError(Exception):
    pass


def planner_of(step: int) -> DefaultSavePlanner:
    planner = DefaultSavePlanner()
    planner.set_up_planner(plain_state(step, 0.01), None, True)
    return planner


def save(memory: memoryview, agreed: _planning.Agreed, meeting: Meeting, step: int) -> None:
    """What a rank does that has just been started: its arena may be new, half made, or hold steps."""
    arena = _slots.Arena(0, memory, agreed)
    if arena.unmade():
        arena.make()
    held = {each.entry.step: each.slot for each in layout.held(memory)}
    arena.latest = held[max(held)] if held else None
    planner = planner_of(step)
    values = [planner.resolve_data(item) for item in agreed.items[len(agreed.plan.tensors) :]]
    blobs = [value.getvalue() for value in values if isinstance(value, io.BytesIO)]
    slot = arena.claim(meeting.token)
    assert slot is not None
    arena.write(slot, _slots.Step(step, step, meeting.token), planner, blobs, None)


def save_until(line: int, *arguments: Any) -> bool:
    """Save, and end at the given line event; whether it ended before the save was done."""
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in OURS:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                raise EndError
        return trace

    sys.settrace(trace)
    try:
        save(*arguments)
    except EndError:
        return True
    finally:
        sys.settrace(None)
    return False


def whole_steps(memory: memoryview, agreed: _planning.Agreed) -> list[int]:
    steps = []
    for each in layout.held(memory):
        step = each.entry.step
        for tensor in agreed.plan.tensors:
            values = _slots.view(memory, each.entry.tensors_at, tensor)
            assert (values == step).all()
        for number, name in enumerate(agreed.plan.blobs):
            content = torch.load(io.BytesIO(_slots.blob(memory, each.entry, number)), weights_only=False)
            assert content == (step if name == "step" else [f"step {step}"])
        steps.append(step)
    return steps


def test_a_save_that_ends_at_any_line() -> None:
    meeting = Meeting()
    agreed = _planning.agree(meeting, 1, planner_of(5), "here", 1.0)
    memory = memoryview(bytearray(_slots.arena_size(agreed, 0, 2)))
    line, step, newest = 0, 5, None
    while save_until(line, memory, agreed, meeting, step):
        found = whole_steps(memory, agreed)
        assert newest is None or max(found) in {newest, step}
        newest = max(found, default=None)
        line, step = line + 1, step + 5  # states of these steps have equal shapes
    assert line > 100
    assert max(whole_steps(memory, agreed)) == step
