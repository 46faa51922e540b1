"""Stacks: what the threads of ranks are at, as an agent reads them without their help."""

from collections.abc import Iterable
from dataclasses import dataclass

from dlroverd.model.ids import RankKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call. `native`: of a library, `file`, that is not Python; its `line` is 0."""

    function: str
    file: str
    line: int = 0
    native: bool = False

    def __str__(self) -> str:
        """Give `backward (torch/_tensor.py:625)`."""
        return f"{self.function} ({self.file}{f':{self.line}' if self.line else ''})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadStack:
    """One thread at the last look, `frames` innermost first. `moved` of them differed between the looks; 0: none did.

    `cpu_ratio` is the share of one CPU that it used between the first look and the last.
    """

    tid: int
    name: str = ""
    cpu_ratio: float = 0.0
    moved: int = 0
    frames: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStack:
    """One process, its main thread first. `state` is the kernel's letter (R, S, D, T ...), of the main thread.

    `wchan` is the kernel's function that it waits in, "" if it does not or that is not told. `problem`: why there are
    no threads. `looks`: how often it was looked at.
    """

    pid: int
    state: str = ""
    wchan: str = ""
    problem: str = ""
    looks: int = 0
    threads: tuple[ThreadStack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPosition:
    """How far a rank is in one of its process groups, by torch's flight recorder, while it stands still there.

    `begun` is the number of the last collective begun, `open` that of the first one that has not ended (0: none),
    `call` and `of` what that is (`all_reduce`, `Float[64, 64]`). `about` is what the group is for, if the script said.
    """

    group: str
    backend: str = ""
    about: str = ""
    begun: int = 0
    open: int = 0
    call: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankStack:
    """The processes of one rank, its main one first, the others at one look. `problem`: why there are none.

    `positions`: how far it is in its process groups, if it said so, and the same at the first look and the last.
    """

    key: RankKey
    node: str
    problem: str = ""
    processes: tuple[ProcessStack, ...] = ()
    positions: tuple[GroupPosition, ...] = ()

    @property
    def main(self) -> ThreadStack | None:
        """The main thread of the main process, if its stack is known."""
        return self.processes[0].threads[0] if self.processes and self.processes[0].threads else None

    @property
    def state(self) -> str:
        """The kernel's letter of the main thread."""
        return self.processes[0].state if self.processes else ""


@dataclass(frozen=True, slots=True)
class StackGroup:
    """Ranks whose main threads are at the same place. `of` is the first of them; `problem`: why they have no stack."""

    ranks: tuple[int, ...]
    of: RankStack
    problem: str = ""


def python_frames(thread: ThreadStack | None) -> tuple[Frame, ...]:
    """Give the frames of Python code, innermost first."""
    return tuple(frame for frame in thread.frames if not frame.native) if thread is not None else ()


def grouped(stacks: Iterable[RankStack]) -> list[StackGroup]:
    """Put ranks with the same Python stack and state together, the largest group first; those without one come last."""
    found: dict[tuple[object, ...], list[RankStack]] = {}
    for each in stacks:
        frames = python_frames(each.main)
        stopped = each.state if each.state in ("T", "t", "D") else ""
        key = (frames, stopped) if frames else (_problem(each), "")
        found.setdefault((bool(frames), *key), []).append(each)
    groups = [
        StackGroup(tuple(sorted(each.key.rank for each in of)), of[0], "" if key[0] else _problem(of[0]))
        for key, of in found.items()
    ]
    return sorted(groups, key=lambda group: (bool(group.problem), -len(group.ranks), group.ranks))


def _problem(stack: RankStack) -> str:
    own = stack.processes[0].problem if stack.processes else ""
    return stack.problem or own or "it has no Python stack"
