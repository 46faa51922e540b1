"""Decisions as text: every event with the fields that matter, and what follows for each node."""

from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any

from dlroverd.model.fault import Cause, ExitInfo, Incident
from dlroverd.model.ids import GangKey, RankKey, RoundKey
from dlroverd.model.placement import GangPlacement
from dlroverd.model.world import Assignment, Desired, NodeGrant, RankObservation, Saves, Tombstone

BEGIN = 1_000_000.0
_LEFT_OUT = frozenset({"spec", "facts", "held", "capacity"})
_QUIET = (None, "", (), 0, -1, False)


def event(item: Any) -> str:
    shown = []
    for field in fields(item):
        value = getattr(item, field.name)
        told_anyway = value is not None and field.name in ("job", "low", "code")
        if field.name not in _LEFT_OUT and (value not in _QUIET or told_anyway):
            plain = field.name in ("weight", "score", "doubt", "mtbf_s")
            shown.append(f"{field.name}={value if plain else text(value)}")
    return f"{type(item).__name__} {' '.join(shown)}".rstrip()


def text(value: Any) -> str:
    match value:
        case StrEnum():
            return value.value
        case bool() | int():
            return str(value)
        case float():
            return f"t{value - BEGIN:+g}" if value > BEGIN / 2 else f"{value:g}s"
        case str():
            return value if value and " " not in value else f'"{value}"'
        case GangKey() | RoundKey() | RankKey():
            return str(value)
        case tuple():
            return f"[{'; '.join(text(each) for each in value)}]"
        case _:
            return _record(value)


def _record(value: Any) -> str:
    match value:
        case Tombstone():
            return f"({value.round} evidence {value.evidence_s:g}s grace {value.grace_s:g}s: {value.reason})"
        case Cause():
            return f"({value.rule}: {value.sentence})"
        case RankObservation():
            return f"{value.key} {value.state.value}" + (f" {text(value.exit)}" if value.exit else "")
        case NodeGrant():
            devices = f" {','.join(value.devices)}" if value.devices else ""
            return f"{value.node}*{value.slots}{devices}"
        case GangPlacement():
            return f"{value.role}/{value.gang}: {' '.join(value.nodes)}"
        case ExitInfo() | Incident():
            return f"({event(value).partition(' ')[2]})"
        case _ if is_dataclass(value):
            return f"({event(value)})"
        case _:
            raise TypeError(f"no way to write {value!r}")


def desired(node: str, wanted: Desired) -> str:
    parts = [_assignment(each) for each in wanted.assignments]
    parts += [f"stop {each.round}" for each in wanted.tombstones]
    parts += [f"call {each.node}" for each in wanted.suspects]
    held = {each.job for each in wanted.jobs} - {each.round.job for each in wanted.assignments}
    parts += [f"hold job {job}" for job in sorted(held)]
    parts += [f"{each.save} is {'refused' if each.refusal else 'committed'}" for each in wanted.verdicts]
    parts += [f"reboot {wanted.reboot}"] if wanted.reboot else []
    parts += [f"drill {each.kind} {each.rank or ''}".rstrip() for each in wanted.drills]
    adopt = [f"in place of log {wanted.adopt_from}"] if wanted.adopt_from else []
    return f"-> {node}: {'; '.join(adopt + parts) or 'nothing'}"


def _assignment(each: Assignment) -> str:
    last = each.first_rank + each.nproc - 1
    ranks = f"rank {last}" if each.nproc == 1 else f"ranks {each.first_rank}-{last}"
    verb = "check" if each.checking else "run"
    world = f"{verb} {each.round} {ranks} of {each.world_size} at {each.master_addr}:{each.master_port}"
    return world + (f", save{_saves(each.saves)}" if each.saves is not None else "")


def _saves(saves: Saves) -> str:
    at = f" from step {saves.at} on" if saves.at >= 0 else ""
    before = f", till then every {saves.was_every} from {saves.was_since} on" if saves.was_every else ""
    return (
        at
        + ("," if at and saves.every else "")
        + (f" every {saves.every} steps from {saves.since} on{before}" if saves.every else "")
    )
