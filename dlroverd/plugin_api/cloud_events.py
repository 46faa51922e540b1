"""Events as CloudEvents 1.0, in their JSON form: one object an event (structured mode).

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md; `severitytext`, `severitynumber` (OpenTelemetry's),
`sequence` and `partitionkey` are its documented extensions.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from dlroverd.model.view import EventView

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERITY_NUMBERS: Final = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
# Fields of the envelope that become extensions, whose names are lowercase letters and digits. They are left out with
# the value that says nothing.
_TEXTS: Final = ("kind", "node", "host", "boot_id", "unit", "role", "actor", "cause", "span", "parent")
_EXTENSIONS: Final = {**dict.fromkeys(_TEXTS, ""), "job": 0, "gang": -1, "round": 0, "rank": -1, "pid": 0}
# What an Integer of CloudEvents can be.
_INTEGER_MAX: Final = 2**31 - 1


def cloud_event(event: EventView) -> dict[str, Any]:
    """Give an event as a CloudEvent, ready for `json.dumps`; `id` is `LOGID/POSITION/INDEX`, and never changes.

    `time` is left out if the clock of the event's host said what is no time. NaN and infinity, which JSON does not
    have, are text in `data`.
    """
    found: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{event.log_id}/{event.position}/{event.index}",
        "source": f"/dlroverd/{event.log_id}",
        "type": f"dlroverd.{event.name}.v{event.version}",
    }
    if subject := _subject(event):
        found["subject"] = subject
    if time := _rfc3339(event.time):
        found["time"] = time
    found["datacontenttype"] = "application/json"
    found["severitytext"] = event.severity
    found["severitynumber"] = _SEVERITY_NUMBERS.get(event.severity, 0)
    found["sequence"] = f"{event.position:016d}.{event.index:06d}"
    found["partitionkey"] = str(event.job) if event.job else event.node or "0"
    if event.monotonic:
        found["monotonic"] = f"{event.monotonic:.6f}"
    for name, nothing in _EXTENSIONS.items():
        value = getattr(event, name)
        if value != nothing:
            found[name.replace("_", "")] = value if _is_plain(value) else str(value)
    found["data"] = json.loads(event.body, parse_constant=str)
    return found


def _subject(event: EventView) -> str:
    """Name what it is about: `job/7/trainer/0/round/2/rank/3`, as far as that goes, else `node/n1`."""
    if not event.job:
        return f"node/{event.node}" if event.node else ""
    told = (
        (event.gang >= 0, f"{event.role}/{event.gang}"),
        (event.gang >= 0 and event.round > 0, f"round/{event.round}"),
        (event.rank >= 0, f"rank/{event.rank}"),
    )
    return "/".join([f"job/{event.job}", *(text for is_told, text in told if is_told)])


def _rfc3339(seconds: float) -> str:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return ""


def _is_plain(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and abs(value) <= _INTEGER_MAX)
