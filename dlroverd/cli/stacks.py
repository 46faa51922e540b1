"""Stacks as people read them: main threads, ranks at the same place together, the innermost call first."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlroverd.model.stacks import ProcessStack, RankStack, StackGroup, ThreadStack

_STATES = {
    "R": "running",
    "S": "waiting",
    "D": "waiting in the kernel, cannot be interrupted",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": "ended",
}
_NATIVE_SHOWN = 4


def shown(stacks: "Iterable[RankStack]") -> Iterator[str]:
    """Give the lines that show stacks by role and gang."""
    from dlroverd.model.collectives import missing
    from dlroverd.model.stacks import grouped

    by_gang: dict[tuple[str, int], list[RankStack]] = {}
    for stack in stacks:
        by_gang.setdefault((stack.key.role, stack.key.gang), []).append(stack)
    for (role, gang), of in by_gang.items():
        if len(by_gang) > 1:
            yield f"{role}, gang {gang}:"
        for group in grouped(of):
            yield from _group(group, len(of))
        if (absent := missing(of)) is not None:
            who = f"{_who([key.rank for key in absent.ranks])} " if absent.ranks else ""
            yield f"By torch's flight recorder, {who}{absent.sentence}."


def _group(group: "StackGroup", total: int) -> Iterator[str]:
    from dlroverd.model.ids import numbers

    one = len(group.ranks) == 1
    who = f"Rank {group.ranks[0]} on {group.of.node}" if one else f"{len(group.ranks)} of {total} ranks"
    named = "" if one else f" ({numbers(group.ranks)})"
    if group.problem:
        yield f"{who}{named}: no stack: {group.problem}."
        yield ""
        return
    yield f"{who}{named}: {_state(group.of.processes[0])}"
    for process in group.of.processes:
        if process is not group.of.processes[0]:
            yield f"  its child {process.pid}: {process.problem or _state(process)}"
        if process.threads:
            yield from _thread(process.threads[0], process)
    yield ""


def _who(ranks: list[int]) -> str:
    from dlroverd.model.ids import numbers

    return f"rank {ranks[0]}" if len(ranks) == 1 else f"each of ranks {numbers(ranks)}"


def _state(process: "ProcessStack") -> str:
    said = _STATES.get(process.state, process.state or "not known")
    return f"{said}{f' ({process.wchan})' if process.wchan else ''}"


def _thread(thread: "ThreadStack", process: "ProcessStack") -> Iterator[str]:
    if process.looks > 1:
        moved = f"{thread.moved} calls changed" if thread.moved else "nothing changed"
        yield f"  its main thread took {thread.cpu_ratio:.0%} of a CPU; {moved} in {process.looks} looks"
    native = 0
    for frame in thread.frames:
        native = native + 1 if frame.native else 0
        if native <= _NATIVE_SHOWN:
            yield f"      {frame}"
