"""Who is missing in a collective that others wait in, by how far each rank of a gang is in its process groups. Pure.

The collectives of a group are numbered alike in all of its ranks, since all must make the same ones in the same order.
So in a gang that stands still, who has not begun the one that others are in is waited for, and who is in another kind
of collective under the same number. That is what torch's flight recorder is read for by hand (`torchfrtrace`). With
devices nothing else tells, if the hosts of all ranks wait at one place.
"""

import re
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

# Of different collectives so many are named.
_MOST = 4

_Group = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Missing:
    """Ranks that others wait for in a collective. `sentence` goes on from "rank 3 on n2"; whole, if there are none.

    `apart`: they wait for each other in different ones, and it cannot be told who is wrong.
    """

    ranks: tuple[RankKey, ...]
    sentence: str
    apart: bool = False


@dataclass(frozen=True, slots=True)
class _Waited:
    """The first collective of a group that has not ended: who is in it, and who has not begun it.

    `parts` are the kinds of collective that it is for its ranks: one, if all is well; the most usual comes first.
    """

    waiting: tuple[RankKey, ...]
    late: tuple[RankKey, ...]
    parts: tuple[tuple[str, tuple[RankKey, ...]], ...]

    @property
    def name(self) -> str:
        return self.parts[0][0]

    @property
    def odd(self) -> tuple[RankKey, ...]:
        """Those who are in another than most; none if that is no more than half."""
        usual = self.parts[0][1]
        return tuple(key for key in self.waiting if key not in usual) if 2 * len(usual) > len(self.waiting) else ()


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
            usual = each.parts[0][1]
            return Missing(each.odd, f"is in another collective than the others: {_ranks(usual)} in {each.name}")
    # All who are late wait in another group: the few keep the many waiting, if none is left out.
    most = max(stuck, key=lambda each: len(each.waiting))
    if len(told) < len(stacks):
        return None
    if 0 < len(most.late) < len(most.waiting):
        where = next(each.name for each in stuck if most.late[0] in each.waiting)
        return Missing(most.late, f"waits in {where}, while {_ranks(most.waiting)} in {most.name}")
    if any(each.late or len(each.parts) > 1 for each in stuck):
        parts = [f"{_ranks(keys)} in {what}" for each in stuck for what, keys in each.parts]
        return Missing(
            (), f"ranks wait for each other in different collectives: {'; '.join(parts[:_MOST])}", apart=True
        )
    return Missing((), f"all of them have begun {most.name}")


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
    kinds: dict[tuple[str, str], list[RankKey]] = {}
    for key in waiting:
        kinds.setdefault(_kind(of[key]), []).append(key)
    named = f" ({about})" if about not in ("", "undefined", _DEFAULT) else ""
    parts = tuple(
        (f"collective {number} of group {group[0]}{named}, {first.call} of {first.of or 'nothing'}", tuple(keys))
        for keys in sorted(kinds.values(), key=len, reverse=True)
        for first in (of[keys[0]],)
    )
    return _Waited(waiting, tuple(sorted(late)), parts)


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
