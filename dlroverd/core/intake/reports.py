"""What an agent sees of its ranks, held against what the state says of them.

Three kinds of news: a rank of a current world moved; a rank that should be listed is not; a rank of a world
that no longer counts is still there. Ranks of jobs this log never knew are listed as orphans and left alone.
"""

from dlroverd.core.classify import succeeded
from dlroverd.core.intake import audit, checkups, staged
from dlroverd.core.passes import checks, faults, liveness, reputation, signals
from dlroverd.core.records import GangRecord, RankRecord
from dlroverd.core.turn import LIVE_GANG, Turn
from dlroverd.model import event as ev
from dlroverd.model.fault import Cause, CauseKind, ExitInfo
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import GangState, RankState
from dlroverd.model.node import DeviceState
from dlroverd.model.world import Held, Observed, RankObservation, StuckRank, Tombstone

_ORDER = {state: n for n, state in enumerate(RankState)}
_ENDED = frozenset({RankState.EXITED, RankState.GONE})


def take(turn: Turn, node: str, observed: Observed) -> None:
    """Fold one node's whole report into the state."""
    news: list[RankObservation] = []
    listed: set[RankKey] = set()
    stale: dict[GangKey, int] = {}
    orphans: list[RankKey] = []
    for seen in observed.ranks:
        rank = turn.state.ranks.get(seen.key)
        if rank is not None and rank.node == node:
            if rank.state is not RankState.GONE:
                listed.add(rank.key)
            if _is_news(rank, seen):
                news.append(seen)
        elif seen.state is RankState.GONE:
            continue
        elif (gang := turn.state.gangs.get(seen.key.gang_key)) is not None and _is_over(gang, seen.key.round):
            stale[gang.key] = max(stale.get(gang.key, 0), seen.key.round)
        else:
            orphans.append(seen.key)
    _note_orphans(turn, node, orphans)
    _note_stuck(turn, node, observed)
    _bury_stale(turn, node, stale)
    audit.told(turn, node, observed)
    signals.told(turn, node, observed)  # before the ends that they explain
    missing = _missing(turn, node, observed.position, listed) if len(listed) < _left_on(turn, node) else []
    audit.not_listed(turn, node, missing)
    news.extend(missing)
    _note_ranks(turn, node, news)
    _clear_tombstones(turn, node, observed, observed.position)
    checks.take(turn, node, observed)
    _note_devices(turn, node, observed)
    _note_suspects(turn, node, observed)
    staged.take(turn, node, observed.staged)
    checkups.take(turn, node, observed.checkups)


def ended(turn: Turn, node: str, observed: Observed, how: str) -> None:
    """A new boot, or a person's word: whatever ran there before is gone, and needs no stop any more.

    Ranks not yet started count too: whether the agent had got to them is not known, and a key starts but once.
    """
    exit_ = ExitInfo(exited_at=turn.now, lost=how)
    news = [
        RankObservation(key=rank.key, state=RankState.GONE, exit=rank.exit or exit_)
        for gang in _gangs_on(turn, node)
        for rank in turn.state.ranks_on(gang, node)
        if rank.state is not RankState.GONE
    ]
    _note_ranks(turn, node, news)
    _clear_tombstones(turn, node, observed, turn.state.m.position)


def forgotten(turn: Turn, node: str, observed: Observed) -> None:
    """An agent that follows no log had its records deleted: what it ran, and does not list, it has ended.

    A rank not yet seen to start is left: the agent may simply not have been told of it.
    """
    exit_ = ExitInfo(exited_at=turn.now, lost="its agent's records were deleted")
    listed = {seen.key for seen in observed.ranks}
    news = [
        RankObservation(key=rank.key, state=RankState.GONE, exit=rank.exit or exit_)
        for gang in _gangs_on(turn, node)
        for rank in turn.state.ranks_on(gang, node)
        if rank.key not in listed and rank.state not in (RankState.ASSIGNED, RankState.GONE)
    ]
    _note_ranks(turn, node, news)


def _note_devices(turn: Turn, node: str, observed: Observed) -> None:
    """Note which devices cannot be granted; one that is lost fails the worlds it was granted to."""
    record = turn.state.nodes[node]
    unusable = tuple(sorted((d for d in observed.devices if d.state is not DeviceState.OK), key=lambda d: d.uuid))
    if unusable == record.devices:
        return
    before = {device.uuid for device in record.devices if device.state is DeviceState.LOST}
    turn.emit(ev.DevicesSeen(node=node, devices=unusable))
    for device in unusable:
        if device.state is not DeviceState.LOST or device.uuid in before:
            continue
        reputation.device_lost(turn, node, device.uuid, device.detail)
        for gang in _gangs_on(turn, node):
            if device.uuid in turn.state.grants[node, gang.key].devices and gang.state in LIVE_GANG:
                sentence = f"device {device.uuid} of node {node} was lost: {device.detail}"
                cause = Cause(
                    kind=CauseKind.DEVICE_LOST, rule="device.lost", sentence=sentence, node=node, device=device.uuid
                )
                faults.fail_gang(turn, gang.key, turn.now, cause)


def _note_stuck(turn: Turn, node: str, observed: Observed) -> None:
    """Note which ranks cannot be ended: their worlds need not be waited for."""
    stuck = tuple(StuckRank(key=seen.key, processes=seen.unkillable) for seen in observed.ranks if seen.unkillable)
    if stuck == turn.state.nodes[node].stuck:
        return
    turn.emit(ev.StuckSeen(node=node, stuck=stuck))
    for each in stuck:
        turn.touch(each.key.gang_key)


def _note_suspects(turn: Turn, node: str, observed: Observed) -> None:
    if observed.suspects != turn.state.nodes[node].suspects:
        turn.emit(ev.SuspectsSeen(node=node, suspects=observed.suspects))
        liveness.answered(turn, node)


def _is_news(rank: RankRecord, seen: RankObservation) -> bool:
    """Whether a report moves a rank on; late and doubled ones do not."""
    if _ORDER[seen.state] != _ORDER[rank.state]:
        return _ORDER[seen.state] > _ORDER[rank.state]
    return bool(seen.pid) and seen.pid != rank.pid and seen.state is RankState.RUNNING


def _is_over(gang: GangRecord, round_: int) -> bool:
    """Whether a world of a gang no longer counts. One that is newer than this log knows is left alone."""
    return round_ < gang.round or (round_ == gang.round and gang.state not in LIVE_GANG)


def _gangs_on(turn: Turn, node: str) -> list[GangRecord]:
    state = turn.state
    return [state.gangs[key] for key in sorted(state.node_gangs.get(node, ()))]


def _left_on(turn: Turn, node: str) -> int:
    """Count the ranks on a node that are not seen gone."""
    state = turn.state
    return sum(state.left[key][node] for key in state.node_gangs.get(node, ()) if key in state.left)


def _missing(turn: Turn, node: str, position: int, listed: set[RankKey]) -> list[RankObservation]:
    """Ranks not seen gone that the agent, by the position it had applied, should list and does not."""
    missing = []
    for gang in _gangs_on(turn, node):
        tombstone = turn.state.tombstones.get((node, gang.key))
        if gang.state in LIVE_GANG and gang.formed <= position:
            exit_ = ExitInfo(exited_at=turn.now, lost="its agent no longer lists it")
        elif gang.state is GangState.STOPPING and tombstone is not None and tombstone.position <= position:
            exit_ = ExitInfo(exited_at=turn.now, requested=True, lost="it was stopped before it began")
        else:
            continue
        missing += [
            RankObservation(key=rank.key, state=RankState.GONE, exit=rank.exit or exit_)
            for rank in turn.state.ranks_on(gang, node)
            if rank.state is not RankState.GONE and rank.key not in listed
        ]
    return missing


def _note_orphans(turn: Turn, node: str, orphans: list[RankKey]) -> None:
    if tuple(orphans) != turn.state.nodes[node].orphans:
        turn.emit(ev.OrphansSeen(node=node, orphans=tuple(orphans), held=Held()))


def _bury_stale(turn: Turn, node: str, stale: dict[GangKey, int]) -> None:
    for key, round_ in sorted(stale.items()):
        known = turn.state.tombstones.get((node, key))
        if known is None or known.tombstone.round.round < round_:
            tombstone = Tombstone(
                round=key.at(round_), grace_s=0.0, evidence_s=0.0, reason="its world no longer counts"
            )
            turn.emit(ev.StaleRanksSeen(node=node, tombstone=tombstone))


def _note_ranks(turn: Turn, node: str, news: list[RankObservation]) -> None:
    if not news:
        return
    turn.emit(ev.RanksSeen(node=node, ranks=tuple(news)))
    touched: GangKey | None = None
    for seen in news:
        key = seen.key.gang_key
        if key is not touched:
            turn.touch(key)
            touched = key
        if seen.state not in _ENDED or turn.state.gangs[key].state not in LIVE_GANG:
            continue
        exit_ = turn.state.ranks[seen.key].exit
        if not succeeded(exit_):
            faults.fail_gang(turn, key, exit_.exited_at if exit_ is not None else turn.now, None)


def _clear_tombstones(turn: Turn, node: str, observed: Observed, position: int) -> None:
    """Take those set up to `position` as carried out, unless something that they cover is seen alive."""
    keys = turn.state.node_tombstones.get(node)
    if not keys:
        return
    alive: dict[GangKey, int] = {}
    for seen in observed.ranks:
        if seen.state is not RankState.GONE:
            key = seen.key.gang_key
            alive[key] = min(alive.get(key, seen.key.round), seen.key.round)
    for key in sorted(keys):
        record = turn.state.tombstones[node, key]
        if record.position <= position and alive.get(key, 1 << 62) > record.tombstone.round.round:
            turn.emit(ev.TombstoneCleared(node=node, gang=key))
            turn.touch(key)
