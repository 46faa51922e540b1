"""Who is missing in a collective that others wait in, by how far each rank of a gang is in its process groups. Pure.

The collectives of a group are numbered alike in all of its ranks, since all must make the same ones in the same order.
So in a gang that stands still, who has not begun the one that others are in is waited for, and who is in another kind
of collective under the same number. That is what torch's flight recorder is read for by hand (`torchfrtrace`). With
devices nothing else tells, if the hosts of all ranks wait at one place.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlroverd.model.ids import RankKey, numbers
from dlroverd.model.stacks import GroupPosition, RankStack, python_frames

# To these all ranks give tensors of one size; to others they may give different ones.
_ALIKE = ("all_reduce", "allreduce")
# Where ranks wait for single others, which is not numbered: who is late in a collective may be a victim then.
_PAIRED = re.compile(r"(batch_isend_irecv|i?send|i?recv)(_object_list)?")
_PAIRED_IN, _DISTRIBUTED = "torch/distributed/pipelining/", "torch/distributed/"
# The group to which all ranks belong: who has begun nothing in it is late, too.
_DEFAULT = "default_pg"

_Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Missing:
    """Ranks that others wait for in a collective. `sentence` goes on from "rank 3 on n2"; whole, if there are none."""

    ranks: tuple[RankKey, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class _Waited:
    """The first collective of a group that has not ended: who is in it, who has not begun it, who is in another."""

    name: str
    waiting: tuple[RankKey, ...]
    late: tuple[RankKey, ...]
    odd: tuple[RankKey, ...]


def missing(stacks: Sequence[RankStack]) -> Missing | None:
    """Find out who is missing; None if that cannot be told."""
    told = {stack.key: {(each.group, each.backend): each for each in stack.positions} for stack in stacks}
    told = {key: positions for key, positions in told.items() if positions}
    groups = sorted({group for positions in told.values() for group in positions})
    stuck = [waited for group in groups if (waited := _waited(group, told)) is not None]
    if not stuck or any(map(_is_paired, stacks)):
        return None
    waits = {key for each in stuck for key in each.waiting}
    for each in stuck:
        if culprits := tuple(key for key in each.late if key not in waits):
            return Missing(culprits, f"has not begun {each.name}, in which {_ranks(each.waiting)}")
    for each in stuck:
        if each.odd:
            others = tuple(key for key in each.waiting if key not in each.odd)
            return Missing(each.odd, f"is in another collective than the others: {_ranks(others)} in {each.name}")
    # All who are late wait in another group: the few keep the many waiting, if none is left out.
    most = max(stuck, key=lambda each: len(each.waiting))
    if len(told) < len(stacks):
        return None
    if not most.late:
        return Missing((), f"all of them have begun {most.name}")
    if len(most.late) < len(most.waiting):
        where = next(each.name for each in stuck if most.late[0] in each.waiting)
        return Missing(most.late, f"waits in {where}, while {_ranks(most.waiting)} in {most.name}")
    return None


def _waited(group: _Group, told: Mapping[RankKey, Mapping[_Group, GroupPosition]]) -> _Waited | None:
    of = {key: positions[group] for key, positions in told.items() if group in positions}
    number = min((each.open for each in of.values() if each.open), default=0)
    if not number:
        return None
    waiting = tuple(key for key, each in of.items() if each.open == number)
    late = {key for key, each in of.items() if each.begun < number}
    about = of[waiting[0]].about
    if about == _DEFAULT:
        late.update(key for key in told if key not in of)
    calls = Counter(_kind(of[key]) for key in waiting)
    (usual, count), total = calls.most_common(1)[0], len(waiting)
    odd = tuple(key for key in waiting if _kind(of[key]) != usual) if 2 * count > total else ()
    first = next(of[key] for key in waiting if _kind(of[key]) == usual)
    named = f" ({about})" if about not in ("", "undefined", _DEFAULT) else ""
    name = f"collective {number} of group {first.group}{named}, {first.call} of {first.of or 'nothing'}"
    return _Waited(name, waiting, tuple(sorted(late)), odd)


def _is_paired(stack: RankStack) -> bool:
    return any(
        frame.file.startswith(_PAIRED_IN)
        or (frame.file.startswith(_DISTRIBUTED) and _PAIRED.fullmatch(frame.function) is not None)
        for frame in python_frames(stack.main)
    )


def _kind(position: GroupPosition) -> tuple[str, str]:
    return position.call, position.of if position.call in _ALIKE else ""


def _ranks(keys: Sequence[RankKey]) -> str:
    return f"rank{'s' * (len(keys) > 1)} {numbers(key.rank for key in keys)} wait{'s' * (len(keys) == 1)}"
