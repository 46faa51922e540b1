"""The texts of the log: events, inputs and states as canonical JSON, and back.

Canonical: equal values give equal bytes. Each event and input carries its name and the version of its shape; a
text of an older release is brought up to date by upcasters, one of a newer release is refused. Must not decide
anything: what a record means is the core's.
"""

import dataclasses
import json
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError

from dlroverd.core import records
from dlroverd.core.state import State
from dlroverd.model.checkpoint import Commit, Verdict
from dlroverd.model.event import Event
from dlroverd.model.fault import Incident
from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.input import Input
from dlroverd.model.ledger import Ledger
from dlroverd.model.placement import Pairs
from dlroverd.model.reputation import Subject
from dlroverd.model.trust import Certified, JoinToken
from dlroverd.model.vocabulary.naming import name_of
from dlroverd.store.interface import StoreUnreadable

T = TypeVar("T")

# (name, version) to what makes the next version's body of that one's. Only ever added to.
Upcasters = Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]
UPCASTERS: Final[Upcasters] = {}

# How `Codec.encode` writes: `{"body":{...},"name":"job_submitted","v":1}`, and a comma, or the end.
_BODY: Final = '{"body":'
_TAIL: Final = re.compile(r',"name":"(\w+)","v":(\d+)\}[,\]]')
_read_json: Final = json.JSONDecoder().raw_decode

Tables = Mapping[str, Mapping[Any, Any]]
SNAPSHOT_VERSION = 1


class _Shape:
    """How values of one type are written and read. Built when first used: all of them cost a tenth of a second."""

    def __init__(self, hint: Any) -> None:
        self._hint = hint

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self._hint)

    @cached_property
    def _has_dict(self) -> bool:
        # Fields have one order; only the keys of a dict may differ in it. Sorting them costs four times as much.
        return "additionalProperties" in json.dumps(self._adapter.json_schema())

    def prepare(self) -> None:
        """Build what is needed to write a value, ahead of the first one."""
        self._has_dict  # noqa: B018 - kept once it was asked for

    def write(self, value: object) -> str:
        if self._has_dict:
            plain = self._adapter.dump_python(value, mode="json")
            return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return self._adapter.dump_json(value).decode()

    def read(self, plain: object, what: str) -> Any:
        try:
            return self._adapter.validate_python(plain)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise StoreUnreadable(
                f"the log is damaged: {what} has no valid {where} ({first['msg']}); restore it from a backup, "
                "or name an empty state directory to begin anew"
            ) from error


_ROWS: Final[dict[str, _Shape]] = {
    "meta": _Shape(tuple[str, records.Meta]),
    "jobs": _Shape(tuple[int, records.JobRecord]),
    "gangs": _Shape(tuple[GangKey, records.GangRecord]),
    "ranks": _Shape(tuple[RankKey, records.RankRecord]),
    "nodes": _Shape(tuple[str, records.NodeRecord]),
    "grants": _Shape(tuple[records.NodeGang, records.GrantRecord]),
    "tombstones": _Shape(tuple[records.NodeGang, records.TombstoneRecord]),
    "spares": _Shape(tuple[records.NodeGang, records.SpareRecord]),
    "incidents": _Shape(tuple[records.JobIncident, Incident]),
    "requests": _Shape(tuple[str, int]),
    "domains": _Shape(tuple[str, Pairs]),
    "outages": _Shape(tuple[records.Domain, records.OutageRecord]),
    "ledgers": _Shape(tuple[int, Ledger]),
    "reputations": _Shape(tuple[Subject, records.ReputationRecord]),
    "findings": _Shape(tuple[str, records.FindingRecord]),
    "checkups": _Shape(tuple[str, records.CheckupRecord]),
    "matches": _Shape(tuple[int, records.MatchRecord]),
    "norms": _Shape(tuple[records.Norm, tuple[tuple[str, float], ...]]),
    "diagnoses": _Shape(tuple[records.DiagnosisKey, records.DiagnosisRecord]),
    "spools": _Shape(tuple[str, records.SpoolRecord]),
    "commits": _Shape(tuple[int, tuple[Commit, ...]]),
    "verdicts": _Shape(tuple[str, tuple[Verdict, ...]]),
    "tokens": _Shape(tuple[str, JoinToken]),
    "certified": _Shape(tuple[str, Certified]),
}


class Codec(Generic[T]):
    """Writes and reads lists of the classes of one union."""

    def __init__(self, classes: Iterable[type[T]], upcasters: Upcasters = UPCASTERS) -> None:
        """Learn the classes; those with upcasters are at the version that the last of these makes."""
        self._upcasters = upcasters
        self._shapes = {name_of(cls): _Shape(cls) for cls in classes}
        self._names = {cls: name_of(cls) for cls in classes}
        self._sizes = {name_of(cls): len(dataclasses.fields(typing.cast(Any, cls))) for cls in classes}
        self._versions = dict.fromkeys(self._shapes, 1)
        for name, version in upcasters:
            self._versions[name] = max(self._versions[name], version + 1)

    @property
    def versions(self) -> Mapping[str, int]:
        """The names of all classes, and the version that each is at."""
        return self._versions

    def prepare(self) -> None:
        """Build what is needed to write every class, ahead of its first value; it takes a tenth of a second."""
        for shape in self._shapes.values():
            shape.prepare()

    def body(self, value: T) -> str:
        """Give the JSON object of one value, without its name."""
        return self._shapes[self._names[type(value)]].write(value)

    def encode(self, values: Iterable[T]) -> str:
        """Give a JSON array of `{"body": {...}, "name": "job_submitted", "v": 1}`."""
        items = []
        for value in values:
            name = self._names[type(value)]
            items.append(f'{{"body":{self.body(value)},"name":"{name}","v":{self._versions[name]}}}')
        return f"[{','.join(items)}]"

    def decode(self, text: str) -> tuple[T, ...]:
        """Read what `encode` wrote, now or in an older release; StoreUnreadable if that cannot be done."""
        return tuple(self._read(item["name"], item["v"], item["body"]) for item in json.loads(text))

    def bodies(self, text: str) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Give each value's name, body and the body's text, brought up to date, without making values of them.

        What a body of the newest version holds is not checked. StoreUnreadable as `decode`.
        """
        at = 1
        while text.startswith(_BODY, at):
            begin = at + len(_BODY)
            body, end = _read_json(text, begin)
            tail = _TAIL.match(text, end)
            if tail is None:
                raise StoreUnreadable(f"the log is damaged: {text[end : end + 40]!r} follows the body of an event")
            at, shown = tail.end(), text[begin:end]
            name, version = tail[1], int(tail[2])
            # A body of an older release may lack fields that have come since.
            if version != self._versions.get(name) or len(body) != self._sizes[name]:
                shown = self.body(self._read(name, version, body))
                body = json.loads(shown)
            yield name, body, shown
        if at != len(text) and text != "[]":
            raise StoreUnreadable(f"the log is damaged: {text[at : at + 40]!r} is no event")

    def _read(self, name: str, version: int, body: dict[str, Any]) -> T:
        newest = self._versions.get(name)
        if newest is None or version > newest:
            raise StoreUnreadable(
                f"the log holds {name} in version {version}, which this dlroverd does not know: "
                "start the newer dlroverd that wrote it; nothing was changed"
            )
        while version < newest:
            body = self._upcasters[name, version](body)
            version += 1
        return typing.cast(T, self._shapes[name].read(body, name))


EVENTS: Final[Codec[Event]] = Codec(get_args(Event))
INPUTS: Final[Codec[Input]] = Codec(get_args(Input))


def tables_of(state: State) -> Tables:
    """Copy the tables, cheaply: the records are frozen, so another thread may then read them."""
    return {name: dict(getattr(state, name)) for name in State.TABLES}


def encode_tables(tables: Tables) -> str:
    """Write the tables of a state, each a sorted list of [key, record]; equal states give equal bytes.

    One record at a time, so that a thread which does this leaves the interpreter to others in between.
    """
    texts = (_encode_table(name, tables[name]) for name in sorted(tables))
    return f'{{"tables":{{{",".join(texts)}}},"v":{SNAPSHOT_VERSION}}}'


def _encode_table(name: str, table: Mapping[Any, Any]) -> str:
    rows = (_ROWS[name].write((key, table[key])) for key in sorted(table))
    return f'"{name}":[{",".join(rows)}]'


def decode_state(text: str, log_id: str) -> State:
    """Read what `encode_tables` wrote; StoreUnreadable if a newer release did, or it is damaged."""
    snapshot = json.loads(text)
    if snapshot["v"] != SNAPSHOT_VERSION:
        raise StoreUnreadable(
            f"the log's snapshot has version {snapshot['v']} and this dlroverd reads {SNAPSHOT_VERSION}: "
            "start the newer dlroverd that wrote it; nothing was changed"
        )
    state = State(log_id)
    for name in State.TABLES:
        table = getattr(state, name)
        for row in snapshot["tables"].get(name, ()):  # an older release has fewer tables
            key, record = _ROWS[name].read(row, f"the snapshot's {name}")
            state.put(table, key, record)
    return state
