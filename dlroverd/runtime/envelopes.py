"""The envelope of an event: what its body, its schema and the record of its node say of it.

Bodies are taken as the log has them: to decode and write them anew would be most of the cost of a view.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dlroverd.core.records import NodeRecord
from dlroverd.model.node import NodeState
from dlroverd.model.view import EventView
from dlroverd.model.vocabulary import FORWARDED, SCHEMAS, schema_of
from dlroverd.model.vocabulary.schema import reach
from dlroverd.store.interface import Record

_SILENT: Final = frozenset({NodeState.UNREACHABLE.value, NodeState.LOST.value})


@dataclass(frozen=True, slots=True)
class Known:
    """What views need beside the log: its id, and what the state knows of nodes."""

    log_id: str
    nodes: Mapping[str, NodeRecord]


class Page:
    """One record on its way to be shown; its events come in order, each through `view`."""

    def __init__(self, record: Record, known: Known) -> None:
        """Begin before the first event."""
        self._record = record
        self._known = known
        self._boots: dict[str, str] = {}  # what this record itself says

    def view(self, index: int, name: str, body: dict[str, Any], text: str) -> tuple[EventView, frozenset[int]]:
        """Give an event's view, and all jobs that it is about; one that an agent forwarded under its own name.

        `text` is `body` as JSON.
        """
        if name == FORWARDED:
            return self._forwarded(index, body), SCHEMAS[name].jobs(body)
        if name == "node_joined":
            self._boots[body["node"]] = body["boot_id"]
        elif name == "node_moved" and body["to"] in _SILENT:
            self._boots[body["node"]] = ""
        return self._own(index, name, body, text)

    def _own(self, index: int, name: str, body: dict[str, Any], text: str) -> tuple[EventView, frozenset[int]]:
        schema = SCHEMAS[name]
        keys = schema.keys(body)
        jobs = schema.jobs_at(keys, body)
        key = keys[0] if len(keys) == 1 else _shared(keys)
        envelope = schema.enveloped(body)
        node = body.get("node", "")
        view = EventView(
            log_id=self._known.log_id,
            position=self._record.position,
            index=index,
            time=self._record.now,
            name=name,
            version=schema.version,
            severity=envelope.severity.value,
            kind=envelope.kind.value,
            job=min(jobs, default=0),
            role=key.get("role", "") or body.get("role", ""),
            gang=key.get("gang", -1),
            round=key.get("round", 0),
            rank=key.get("rank", -1),
            pid=_pid(body),
            node=node,
            host=self._host(node),
            boot_id=self._boot_id(node),
            actor=_text(body, schema.actor),
            cause=_text(body, schema.cause),
            span=envelope.span,
            parent=envelope.parent,
            body=text,
        )
        return view, jobs

    def _forwarded(self, index: int, body: dict[str, Any]) -> EventView:
        event, node = body["event"], body["node"]
        rank = event["rank"] or {}
        schema = schema_of(event["name"])
        return EventView(
            log_id=self._known.log_id,
            position=self._record.position,
            index=index,
            time=event["time"],
            name=event["name"],
            version=event["version"],
            severity=event["severity"],
            kind=event["kind"],
            monotonic=event["monotonic"],
            job=rank.get("job", 0),
            role=rank.get("role", ""),
            gang=rank.get("gang", -1),
            round=rank.get("round", 0),
            rank=rank.get("rank", -1),
            node=node,
            host=self._host(node),
            boot_id=body["boot_id"],
            unit=event["unit"],
            pid=event["pid"],
            cause=_text(_inside(event["body"]), schema.cause) if schema is not None and schema.cause else "",
            span=event["span"],
            parent=event["parent"],
            body=event["body"],
        )

    def _host(self, node: str) -> str:
        record = self._known.nodes.get(node)
        return record.facts.hostname if record is not None else ""

    def _boot_id(self, node: str) -> str:
        """Give the boot that a node was known to run at the event that was viewed last, "" if none was."""
        said = self._boots.get(node)
        if said is not None:
            return said
        record = self._known.nodes.get(node)
        boots = reversed(record.boots) if record is not None else ()
        return next((boot_id for since, boot_id in boots if since < self._record.position), "")


def _shared(keys: list[dict[str, Any]]) -> dict[str, Any]:
    """Give what the keys of several ranks have in common."""
    if not keys:
        return {}
    first = keys[0]
    return {name: value for name, value in first.items() if all(key.get(name) == value for key in keys)}


def _pid(body: Mapping[str, Any]) -> int:
    """Give the pid of the only rank that an event tells of."""
    ranks = body.get("ranks", ())
    return int(ranks[0]["pid"]) if len(ranks) == 1 else 0


def _text(body: Mapping[str, Any], path: str) -> str:
    found = reach(body, path) if path else None
    return found if isinstance(found, str) else ""


def _inside(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:  # what a rank wrote: shown as it is
        return {}
    return found if isinstance(found, dict) else {}
