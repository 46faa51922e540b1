"""What host and child say to each other: JSON objects, one a line, checked against these types on arrival.

The host asks one thing at a time and the child answers it by its `id`. On its own the child says `Found`
(before it imports the plugin, so that one that dies importing still has a version) and then `Loaded` or
`Raised`. Never pickle: the child is not trusted.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dlroverd.model.diagnosis import Diagnosed, WorldView
from dlroverd.model.placement import NoFit, Placement, PlacementView, Preempt
from dlroverd.model.view import EventView
from dlroverd.plugin_api.device import DeviceReading
from dlroverd.plugin_api.node_check import CheckContext, CheckSpec, CheckVerdict

# An answer that places 100,000 nodes takes 2 MB; a plugin that says more than this is broken, at the host's cost.
MAX_LINE_BYTES = 16 * 1024 * 1024

Kind = Literal["scheduler", "sink", "device", "node_check", "diagnosis"]
# What a call may return; a sink's return nothing.
Value = (
    Placement | Preempt | NoFit | tuple[DeviceReading, ...] | tuple[CheckSpec, ...] | CheckVerdict | Diagnosed | None
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """Call `Sink.open`."""

    settings: dict[str, str]
    id: int = 0
    op: Literal["open"] = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Call `Scheduler.place`."""

    view: PlacementView
    id: int = 0
    op: Literal["place"] = "place"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Call `Sink.write`."""

    batch: tuple[EventView, ...]
    id: int = 0
    op: Literal["write"] = "write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Call `Devices.read`."""

    id: int = 0
    op: Literal["read"] = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """List the node checks there are."""

    id: int = 0
    op: Literal["checks"] = "checks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Call `NodeCheck.run` of the check of that name."""

    check: str
    context: CheckContext
    id: int = 0
    op: Literal["check"] = "check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnose:
    """Call all three of a `DiagnosisRule`, one after the other."""

    view: WorldView
    id: int = 0
    op: Literal["diagnose"] = "diagnose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """Call `Sink.close` and end."""

    id: int = 0
    op: Literal["close"] = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The plugin is installed."""

    version: str
    origin: str
    op: Literal["found"] = "found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The plugin was imported and registered objects of these kinds."""

    kinds: tuple[Kind, ...]
    op: Literal["loaded"] = "loaded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The call returned; those of a sink have no value."""

    id: int
    value: Value = None
    op: Literal["returned"] = "returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """An event that the other side will never take, and why in one sentence."""

    position: int
    index: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`write` delivered all events of its batch but these, which can never be delivered."""

    id: int
    events: tuple[RefusedEvent, ...]
    op: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """The call (id 0: loading) failed. `error` is one sentence."""

    error: str
    id: int = 0
    op: Literal["raised"] = "raised"


Question = Open | Place | Write | Read | Checks | Check | Diagnose | Close
Answer = Found | Loaded | Returned | Refused | Raised

# Built when first used: they cost each start of the daemon and the agent some tens of milliseconds.
_LATER = ConfigDict(defer_build=True)
_QUESTION: TypeAdapter[Question] = TypeAdapter(Annotated[Question, Field(discriminator="op")], config=_LATER)
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="op")], config=_LATER)


def encode_question(question: Question) -> bytes:
    """One line, with its newline, of any length: a child trusts its host."""
    return _QUESTION.dump_json(question) + b"\n"


def decode_question(line: bytes) -> Question:
    """Read what the host said."""
    return _QUESTION.validate_json(line, strict=True)


def encode_answer(answer: Answer) -> bytes:
    """One line, with its newline."""
    return _ANSWER.dump_json(answer, warnings="none") + b"\n"


def decode_answer(line: bytes) -> Answer:
    """Read what the child said; ValueError with one sentence if it is none of the answers."""
    try:
        return _ANSWER.validate_json(line, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{where + ': ' if where else ''}{first['msg']}") from error
