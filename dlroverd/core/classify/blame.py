"""Which of several ends caused the others, and how far the node it happened on is to blame."""

from collections.abc import Iterable

from dlroverd.core.classify.table import classify, explain, succeeded
from dlroverd.core.records import RankRecord
from dlroverd.model.fault import Cause, CauseKind, ExitInfo

# How good the evidence is that an end is a fault of its own, best first. What is listed nowhere is what a rank said of
# itself. Network errors are mostly, and lost peers always, what survivors see; what we stopped is never a cause.
_PROVEN, _SAID, _SIGNAL, _CODE, _NETWORK, _PEER, _STOPPED = range(7)
_EVIDENCE = {
    CauseKind.NODE_LOST: _PROVEN,
    CauseKind.DEVICE_LOST: _PROVEN,
    CauseKind.DEVICE_ERROR: _PROVEN,
    CauseKind.LAUNCH: _PROVEN,
    CauseKind.PORT_TAKEN: _PROVEN,
    CauseKind.SIGNAL: _SIGNAL,
    CauseKind.EXIT_CODE: _CODE,
    CauseKind.VANISHED: _CODE,
    CauseKind.NETWORK: _NETWORK,
    CauseKind.PEER_LOST: _PEER,
    CauseKind.STOPPED: _STOPPED,
}
# 0: the job's own fault, whichever node it is on; 1: surely the node's. What is listed nowhere is 0.
_BLAMES_NODE = {
    CauseKind.DEVICE_LOST: 1.0,
    CauseKind.DEVICE_ERROR: 0.9,
    CauseKind.NODE_LOST: 0.8,
    CauseKind.VANISHED: 0.5,
    CauseKind.CHECK_FAILED: 0.5,
    CauseKind.NO_PATH: 0.5,
    CauseKind.NETWORK: 0.3,
    CauseKind.DEVICE_CRASH: 0.3,
    CauseKind.START_TIMEOUT: 0.3,
    CauseKind.LAUNCH: 0.2,
    CauseKind.HANG: 0.2,
    CauseKind.SIGNAL: 0.1,
    CauseKind.DISK_FULL: 0.1,
    CauseKind.HOST_LIMIT: 0.1,
    CauseKind.PORT_TAKEN: 0.1,
}
# The rule of checks in which the job asks for more memory than the node has.
CHECK_MEMORY = "check.memory"
# The rule of node checks that a job asked for: another node may pass them.
CHECK_OF_NODE = "check.node"
_MOST_VICTIMS = 64


def blames_node(cause: Cause) -> float:
    """Say how likely the node of `cause`, not the job, is at fault, by its kind: 0 to 1."""
    return 0.0 if cause.rule in (CHECK_MEMORY, CHECK_OF_NODE) else _BLAMES_NODE.get(cause.kind, 0.0)


def is_echo(cause: Cause) -> bool:
    """Whether an end is only what a survivor sees of a fault elsewhere."""
    return _evidence(cause.kind, cause.exit) >= _NETWORK


def attribute(ranks: Iterable[RankRecord]) -> tuple[Cause | None, tuple[Cause, ...]]:
    """Tell the root cause among the ends of a stopped world's ranks from those that died of it.

    The best evidence comes first, among equals the first in time. Returns (None, ()) when none failed. At most 64
    victims are kept, first ones first.
    """
    ended = [(rank, rank.exit) for rank in ranks if rank.exit is not None and not succeeded(rank.exit)]
    behind = _clocks(rank for rank, _ in ended)
    # Most were stopped, and are no cause: of those no more is made.
    kinds = ((rank, exit_, explain(exit_)[0].kind) for rank, exit_ in ended)
    failed = [each for each in kinds if each[2] is not CauseKind.STOPPED]
    failed.sort(key=lambda each: (_evidence(each[2], each[1]), _ended(each[0], behind), each[0].key.rank))
    causes = [classify(rank, exit_) for rank, exit_, _ in failed[: 1 + _MOST_VICTIMS]]
    return (causes[0], tuple(causes[1:])) if causes else (None, ())


def _evidence(kind: CauseKind, exit_: ExitInfo | None) -> int:
    """Say how good the evidence of an end is, by its kind; the kernel's word is proof."""
    if exit_ is not None and exit_.result == "oom-kill":
        return _PROVEN
    return _EVIDENCE.get(kind, _SAID)


def _clocks(ranks: Iterable[RankRecord]) -> dict[str, float]:
    """Tell how far each host's clock is behind ours: by the report that reached us soonest after its end, at most."""
    behind: dict[str, float] = {}
    for rank in ranks:
        if rank.exit is not None and rank.ended_at:
            delay = rank.ended_at - rank.exit.exited_at
            behind[rank.node] = min(behind.get(rank.node, delay), delay)
    return behind


def _ended(rank: RankRecord, behind: dict[str, float]) -> float:
    exited_at = rank.exit.exited_at if rank.exit is not None else 0.0
    return exited_at + behind.get(rank.node, 0.0)
