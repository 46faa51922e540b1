"""Which of several ends caused the others, and how far the node it happened on is to blame."""

from collections.abc import Iterable

from dlroverd.core.classify.table import classify, succeeded
from dlroverd.core.records import RankRecord
from dlroverd.model.fault import Cause, CauseKind

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
_MOST_VICTIMS = 64


def blames_node(cause: Cause) -> float:
    """Say how likely the node of `cause`, not the job, is at fault, by its kind: 0 to 1."""
    return _BLAMES_NODE.get(cause.kind, 0.0)


def is_echo(cause: Cause) -> bool:
    """Whether an end is only what a survivor sees of a fault elsewhere."""
    return _evidence(cause) >= _NETWORK


def attribute(ranks: Iterable[RankRecord]) -> tuple[Cause | None, tuple[Cause, ...]]:
    """Tell the root cause among the ends of a stopped world's ranks from those that died of it.

    The best evidence comes first, among equals the first in time. Returns (None, ()) when none failed. At most 64
    victims are kept, first ones first.
    """
    failed = [(rank, classify(rank, rank.exit)) for rank in ranks if rank.exit is not None and not succeeded(rank.exit)]
    behind = _clocks(rank for rank, _ in failed)
    failed.sort(key=lambda each: (_evidence(each[1]), _ended(each[0], behind), each[0].key.rank))
    causes = [cause for _, cause in failed]
    if not causes or causes[0].kind is CauseKind.STOPPED:
        return None, ()
    victims = [cause for cause in causes[1:] if cause.kind is not CauseKind.STOPPED]
    return causes[0], tuple(victims[:_MOST_VICTIMS])


def _evidence(cause: Cause) -> int:
    if cause.exit is not None and cause.exit.result == "oom-kill":
        return _PROVEN
    return _EVIDENCE.get(cause.kind, _SAID)


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
