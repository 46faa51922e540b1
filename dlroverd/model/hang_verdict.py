"""From the stacks of a gang that makes no step to a verdict: which rank, doing what, and how sure that is. Pure.

In a gang that trains together most ranks wait for the others, in a collective or for their device. Who does not wait is
the one that is waited for; if all wait, who waits elsewhere. What a rank does is told by what the kernel says of it, by
whether its stack stands still between looks, and by what it is made of (`model/stack_signs.py`).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dlroverd.model.hang import SURE, HangGroup, HangKind, HangVerdict
from dlroverd.model.ids import numbers
from dlroverd.model.stack_signs import Doing, doing
from dlroverd.model.stacks import RankStack, grouped, python_frames

_MOST_GROUPS, _MOST_FRAMES = 8, 12
# Whatever else goes on, these do not go on by themselves.
_SURE_KINDS = (HangKind.STOPPED,)


def judge(stacks: Sequence[RankStack], quiet_s: float, budgets: Mapping[str, float]) -> HangVerdict:
    """Judge a gang that has made no step for `quiet_s`; `budgets` are those of what stacks may show to be at work."""
    seen = [(stack, doing(stack)) for stack in stacks]
    absent = [(stack, did) for stack, did in seen if did.kind is HangKind.ABSENT]
    waiting = [(stack, did) for stack, did in seen if did.kind is HangKind.COLLECTIVE]
    others = [(stack, did) for stack, did in seen if did.kind not in (HangKind.ABSENT, HangKind.COLLECTIVE)]
    parts = (_groups(stacks), tuple(sorted(stack.key.rank for stack, _ in absent)))
    if any(did.ended for _, did in absent):
        return _no_hang("a rank has ended meanwhile", "", parts)
    sure = [each for each in others if each[1].kind in _SURE_KINDS]
    if sure:
        return _found(sure, len(stacks), 0.99, parts, waiting)
    if others and absent and not waiting:
        return _no_hang(f"only {len(others)} of {len(stacks)} ranks could be looked at", "", parts)
    if others:
        return _of_others(others, waiting, len(stacks), lambda phase: quiet_s <= budgets.get(phase, 0.0), parts)
    if absent and waiting:
        return _found(absent, len(stacks), 0.6, parts, waiting)
    if not waiting:
        return _no_hang("no rank could be looked at", "", parts)
    return _all_wait(waiting, parts)


_Seen = tuple[RankStack, Doing]
_Parts = tuple[tuple[HangGroup, ...], tuple[int, ...]]


def _of_others(
    others: list[_Seen], waiting: list[_Seen], total: int, has_time: Callable[[str], bool], parts: _Parts
) -> HangVerdict:
    """Judge by those that do not wait for the rest."""
    for stack, did in others:
        if did.phase and has_time(did.phase):
            return _no_hang(f"{_named(stack)} {did.text}", did.phase, parts)
    working = [each for each in others if each[1].kind is HangKind.WORKING]
    if working:
        stack, did = working[0]
        return _no_hang(f"{_named(stack)} {did.text}", did.phase, parts)
    if not waiting and total > 1:
        kinds = {did.kind for _, did in others}
        kind = others[0][1].kind if len(kinds) == 1 else HangKind.IDLE
        text = (
            f"all {total} ranks stand still, none of them waits for another: {_named(others[0][0])} {others[0][1].text}"
        )
        return HangVerdict(hung=True, kind=kind, sentence=text, confidence=0.6, groups=parts[0], absent=parts[1])
    if total == 1:
        confidence = SURE
    elif 2 * len(others) < total or len(others) == 1:
        confidence = 0.95
    else:
        confidence = 0.6
    return _found(others, total, confidence, parts, waiting)


def _all_wait(waiting: list[_Seen], parts: _Parts) -> HangVerdict:
    """All wait for each other: who is at another place than the rest missed a collective, or made one too many."""
    places = Counter(did.place for _, did in waiting)
    (usual, most), total = places.most_common(1)[0], len(waiting)
    odd = [each for each in waiting if each[1].place != usual]
    if not odd:
        text = (
            f"all {total} ranks wait at the same place ({usual}): none of them is missing, so see the network between "
            "their hosts, and their devices"
        )
        return HangVerdict(
            hung=True, kind=HangKind.NETWORK, sentence=text, confidence=0.5, groups=parts[0], absent=parts[1]
        )
    at_usual = [each for each in waiting if each[1].place == usual]
    return _found(odd, total, 0.9 if 2 * len(odd) < most + len(odd) else 0.5, parts, at_usual)


def _found(culprits: list[_Seen], total: int, confidence: float, parts: _Parts, waiting: list[_Seen]) -> HangVerdict:
    stack, did = culprits[0]
    if len(culprits) == 1:
        who = f"{_named(stack)} {did.text}"
    else:
        who = f"ranks {numbers(each.key.rank for each, _ in culprits)} hang: {_named(stack)} {did.text}"
    where = f", and {len(waiting)} of {total} ranks wait for it ({waiting[0][1].place})" if waiting else ""
    return HangVerdict(
        hung=True,
        kind=did.kind,
        sentence=f"{who}{where}",
        confidence=confidence,
        ranks=tuple(each.key for each, _ in culprits),
        node=stack.node,
        groups=parts[0],
        absent=parts[1],
    )


def _no_hang(sentence: str, phase: str, parts: _Parts) -> HangVerdict:
    return HangVerdict(
        hung=False, kind=HangKind.WORKING, sentence=sentence, phase=phase, groups=parts[0], absent=parts[1]
    )


def _groups(stacks: Sequence[RankStack]) -> tuple[HangGroup, ...]:
    return tuple(
        HangGroup(
            ranks=group.ranks,
            doing=group.problem or doing(group.of).text,
            frames=tuple(map(str, python_frames(group.of.main)[:_MOST_FRAMES])),
        )
        for group in grouped(stacks)[:_MOST_GROUPS]
    )


def _named(stack: RankStack) -> str:
    return f"rank {stack.key.rank} on {stack.node}"
