"""From the stacks of a gang that makes no step to a verdict: which rank, doing what, and how sure that is. Pure.

In a gang that trains together most ranks wait for the others, in a collective or for their device. Who does not wait is
the one that is waited for; if all wait, who waits elsewhere. What a rank does is told by what the kernel says of it, by
whether its stack stands still between looks, and by what it is made of (`model/stack_signs.py`).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dlroverd.model.collectives import Missing, missing
from dlroverd.model.hang import SURE, HangGroup, HangKind, HangVerdict, Phase
from dlroverd.model.ids import numbers
from dlroverd.model.stack_signs import Doing, doing
from dlroverd.model.stacks import RankStack, grouped, python_frames

_MOST_GROUPS, _MOST_FRAMES = 8, 12
# Whatever else goes on, these do not go on by themselves.
_SURE_KINDS = (HangKind.STOPPED,)
# Stacks and the numbers of collectives are two ways to the same rank.
_BORNE_OUT = 0.97
# At these the device of a rank that works may do nothing.
_IDLE_IN = (Phase.CHECKPOINT, Phase.EVALUATE, Phase.FIRST_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What is known of a gang besides the stacks: it has made no step for `quiet_s`.

    `budgets` are those of what stacks may show to be at work. `idle`: of ranks that have a device of their own, whether
    that did nothing for all of the time, or was busy (False). `ranks` are so many in all, looked at or not.
    """

    quiet_s: float
    budgets: Mapping[str, float]
    idle: Mapping[int, bool]
    ranks: int


def judge(stacks: Sequence[RankStack], of: Circumstances) -> HangVerdict:
    """Judge a gang by the stacks of its ranks, or of some of them."""
    stacks = sorted(stacks, key=lambda stack: stack.key)
    verdict = _judged(stacks, of)
    if verdict.hung and (absent := missing(stacks)) is not None:
        verdict = _with_missing(verdict, absent, stacks)
    if len(stacks) == of.ranks:
        return verdict
    return replace(verdict, sentence=f"{verdict.sentence} ({len(stacks)} of {of.ranks} ranks were looked at)")


def _judged(stacks: Sequence[RankStack], of: Circumstances) -> HangVerdict:
    seen = [(stack, _with_device(stack, doing(stack), of.idle)) for stack in stacks]
    absent = [(stack, did) for stack, did in seen if did.kind is HangKind.ABSENT]
    waiting = [(stack, did) for stack, did in seen if did.kind is HangKind.COLLECTIVE]
    others = [(stack, did) for stack, did in seen if did.kind not in (HangKind.ABSENT, HangKind.COLLECTIVE)]
    parts = (_groups(stacks), tuple(sorted(stack.key.rank for stack, _ in absent)))
    if any(did.ended for _, did in absent):
        return _no_hang("a rank has ended meanwhile", "", parts)
    sure = [each for each in others if each[1].kind in _SURE_KINDS]
    if sure:
        return _found(sure, len(stacks), 0.99, parts, waiting)
    if absent and not waiting:
        few = f"only {len(others)} of {len(stacks)} ranks" if others else "no rank"
        return _of_devices(seen, of, parts) or _no_hang(f"{few} could be looked at", "", parts)
    if others:
        return _of_others(others, waiting, len(stacks), lambda phase: of.quiet_s <= of.budgets.get(phase, 0.0), parts)
    if absent and waiting:
        return _found(absent, len(stacks), 0.6, parts, waiting)
    return _all_wait(waiting, of.ranks, parts) if waiting else _no_hang("no rank was looked at", "", parts)


_Seen = tuple[RankStack, Doing]
_Parts = tuple[tuple[HangGroup, ...], tuple[int, ...]]


def _with_missing(verdict: HangVerdict, absent: Missing, stacks: Sequence[RankStack]) -> HangVerdict:
    """Add who is missing in a collective, where that bears out what stacks say, or where these do not say enough."""
    if absent.apart and verdict.kind is HangKind.NETWORK:
        return replace(verdict, kind=HangKind.COLLECTIVE, sentence=absent.sentence)
    if absent.ranks == verdict.ranks and not absent.apart:
        sentence = f"{verdict.sentence}; {'it ' if absent.ranks else ''}{absent.sentence}"
        return replace(
            verdict, sentence=sentence, confidence=max(verdict.confidence, _BORNE_OUT if absent.ranks else 0)
        )
    if not absent.ranks or verdict.confidence >= SURE:
        return verdict
    first = next(stack for stack in stacks if stack.key == absent.ranks[0])
    many = f"ranks {numbers(key.rank for key in absent.ranks)} hang: " if len(absent.ranks) > 1 else ""
    sentence = f"{many}{_named(first)} {absent.sentence}; its stack: it {doing(first).text}"
    few = 2 * len(absent.ranks) < len(stacks) or len(absent.ranks) == 1
    return replace(
        verdict, kind=HangKind.COLLECTIVE, sentence=sentence, confidence=0.9 if few else 0.6,
        ranks=absent.ranks, node=first.node,
    )  # fmt: skip


def _with_device(stack: RankStack, did: Doing, idle: Mapping[int, bool]) -> Doing:
    """Add what its device did. A rank that stands still while that is busy waits for it, as in a collective of it."""
    rests = idle.get(stack.key.rank)
    if rests and did.kind not in (HangKind.ABSENT, HangKind.COLLECTIVE, HangKind.WORKING):
        return replace(did, text=f"{did.text}, its device idle")
    if did.kind is not HangKind.IDLE or rests is not False:
        return did
    return replace(did, kind=HangKind.COLLECTIVE, text=f"waits for its device, which is busy ({did.text})")


def _of_devices(seen: list[_Seen], of: Circumstances, parts: _Parts) -> HangVerdict | None:
    """Judge by the devices, where stacks cannot be had.

    A rank that saves or compiles leaves its device idle, too: as it cannot be seen, each has the time for that.
    """
    idle = [each for each in seen if of.idle.get(each[0].key.rank)]
    if not idle or any(stack.key.rank not in of.idle for stack, _ in seen):
        return None
    if of.quiet_s <= max(of.budgets.get(phase, 0.0) for phase in _IDLE_IN):
        return None
    if len(idle) == len(seen):
        text = f"the devices of all {len(seen)} ranks have been idle for {of.quiet_s:.0f} s: {parts[0][0].doing}"
        return HangVerdict(
            hung=True, kind=HangKind.ABSENT, sentence=text, confidence=0.5, groups=parts[0], absent=parts[1]
        )
    if 2 * len(idle) >= len(seen):
        return None
    who = [(stack, replace(did, text=f"has left its device idle for {of.quiet_s:.0f} s")) for stack, did in idle]
    found = _found(who, len(seen), 0.7, parts, [])
    return replace(found, sentence=f"{found.sentence}, while those of the {len(seen) - len(idle)} others are busy")


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


def _all_wait(waiting: list[_Seen], ranks: int, parts: _Parts) -> HangVerdict:
    """All wait for each other: who is at another place than the rest missed a collective, or made one too many."""
    places = Counter(did.place for _, did in waiting)
    (usual, most), total = places.most_common(1)[0], len(waiting)
    odd = [each for each in waiting if each[1].place != usual]
    if not odd:
        text = (
            f"all {total} ranks wait at the same place ({usual}): none of them is missing, so see the network between "
            "their hosts, and their devices"
        )
        if total < ranks:
            text = f"{total} ranks wait at the same place ({usual}), for one that was not looked at or for the network"
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
