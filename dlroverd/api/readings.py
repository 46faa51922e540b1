"""Readings: as agents send them, and as clients are shown them."""

import statistics
from collections.abc import Iterator
from dataclasses import fields, replace

from dlroverd.core.state import State
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.metrics import ALL
from dlroverd.model.node_view import ReadingView
from dlroverd.model.view import GangView, JobView, RankReadings, RankView, SpreadView
from dlroverd.protocol.v1 import agent_service_pb2 as pb
from dlroverd.runtime.series import Series
from dlroverd.runtime.telemetry import Reading, TelemetryStore

# Eight of an agent's intervals: what is older says nothing about now.
_STALE_S = 120.0
# A rank that is by so much of the others' median away from it is worth a look; three make a majority of two.
_ODD_SHARE = 0.2
_ODD_OF = 3
_OF_RANK = {
    "cpu_ratio": "rank_cpu_ratio",
    "memory_bytes": "rank_memory_bytes",
    "step_seconds": "rank_step_seconds",
    "loss": "rank_loss",
}
_OF_DEVICE = ("device_busy_ratio", "device_memory_used_bytes")
_ORDER = {metric.name: number for number, metric in enumerate(ALL)}
_WORDS = {
    "cpu_ratio": "CPU time",
    "memory_bytes": "memory",
    "step_seconds": "step time",
    "device_busy_ratio": "device use",
    "device_memory_used_bytes": "device memory",
}


def received(message: pb.Telemetry) -> Iterator[Reading]:
    """Give the readings of a message, one by one: a value that makes no sense costs itself, not the session."""
    for each in message.samples:
        if each.HasField("rank"):
            key = each.rank
            yield each.metric, each.value, RankKey(key.job, key.role, key.gang, key.round, key.rank)
        else:
            yield each.metric, each.value, each.device


def reading_views(store: TelemetryStore, node: str, device: str, now: float) -> tuple[ReadingView, ...]:
    """Show the readings of a node's host ("") or device, in the order of docs/metrics.md."""
    series = store.of(node, device)
    names = sorted(series, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
    return tuple(_reading(name, series[name], store.said_at(node), now) for name in names)


def _reading(name: str, series: Series, said_at: float, now: float) -> ReadingView:
    hour = list(series.hour(now))
    return ReadingView(
        metric=name,
        value=_newest(series, said_at, now),
        mean=statistics.fmean(bucket.mean for bucket in hour) if hour else None,
        least=min((bucket.least for bucket in hour), default=None),
        most=max((bucket.most for bucket in hour), default=None),
        at=series.at,
    )


def _newest(series: Series | None, said_at: float, now: float) -> float | None:
    """Give a series' newest value, unless it is old, or its agent has said something since and not this any more."""
    known = series is not None and said_at <= series.at and now - series.at <= _STALE_S
    return series.value if series is not None and known else None


def with_readings(view: JobView, state: State, store: TelemetryStore, now: float) -> JobView:
    """Add to a job what is known of its ranks."""
    roles = tuple(
        replace(
            role,
            gangs=tuple(_gang(gang, GangKey(view.id, role.name, gang.gang), state, store, now) for gang in role.gangs),
        )
        for role in view.roles
    )
    paces = [
        series["job_steps_per_second"]
        for role in roles
        for gang in role.gangs
        if (series := store.of("", GangKey(view.id, role.name, gang.gang)))
    ]
    ranks = [rank for role in roles for gang in role.gangs for rank in gang.ranks]
    return replace(
        view,
        roles=roles,
        steps_per_second=max((value for pace in paces if (value := _newest(pace, 0.0, now)) is not None), default=None),
        spreads=tuple(_spreads(ranks)),
        odd=_odd(ranks),
    )


def _gang(view: GangView, key: GangKey, state: State, store: TelemetryStore, now: float) -> GangView:
    def seen(rank: RankView) -> RankView:
        own = store.of(rank.node, key.at(view.round).rank(rank.rank))
        device = store.of(rank.node, uuid) if (uuid := _device(state, key, rank)) else {}
        readings = RankReadings(
            # A step may take longer than an agent's interval, so what is said of ranks need not be in its last message.
            **{name: _newest(own.get(metric), 0.0, now) for name, metric in _OF_RANK.items()},
            **{name: _newest(device.get(name), store.said_at(rank.node), now) for name in _OF_DEVICE},
        )
        return replace(rank, readings=readings) if readings != RankReadings() else rank

    return replace(view, ranks=tuple(map(seen, view.ranks)))


def _device(state: State, key: GangKey, rank: RankView) -> str:
    """Name the device that a rank has for itself; "" where there is none."""
    grant = state.grants.get((rank.node, key))
    if grant is None or len(grant.devices) != grant.slots or not 0 <= rank.rank - grant.first_rank < grant.slots:
        return ""
    return grant.devices[rank.rank - grant.first_rank]


def _told(ranks: list[RankView]) -> Iterator[tuple[str, list[tuple[float, RankView]]]]:
    for each in fields(RankReadings):
        told = [
            (value, rank)
            for rank in ranks
            if rank.readings is not None and (value := getattr(rank.readings, each.name)) is not None
        ]
        if told:
            yield each.name, told


def _spreads(ranks: list[RankView]) -> Iterator[SpreadView]:
    for name, told in _told(ranks):
        values = [value for value, _ in told]
        yield SpreadView(
            reading=name, ranks=len(told), median=statistics.median(values), least=min(values), most=max(values)
        )


def _odd(ranks: list[RankView]) -> str:
    """Say which rank is furthest from the others, as a share of their median, and in what."""
    furthest, said = _ODD_SHARE, ""
    for name, told in _told(ranks):
        middle = statistics.median(value for value, _ in told)
        if name not in _WORDS or len(told) < _ODD_OF or middle <= 0:
            continue
        value, rank = max(told, key=lambda each: abs(each[0] - middle))
        if abs(value - middle) / middle > furthest:
            furthest = abs(value - middle) / middle
            more = "more" if value > middle else "less"
            said = f"rank {rank.rank} on {rank.node}: its {_WORDS[name]} is {furthest:.0%} {more} than the median"
    return said
