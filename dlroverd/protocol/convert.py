"""Turns frozen dataclasses into protobuf messages of the same shape and back. One converter serves them all.

What it needs to know is read from the dataclass's type hints and the message's descriptor, once per pair, and becomes
two functions that name each field, as dataclasses make their `__init__`: a daemon turns tens of thousands of messages a
second. A pair that does not match is a TypeError (a mistake of ours, which the tests find for every pair there is).
What a peer sent wrong is a ProtocolError.

Whether values make sense (a node_unit that divides, a port in range) is not decided here: only that they are there,
are finite, and are of a known kind.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, Generic, NoReturn, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from dlroverd.model.job import JobSpec

T = TypeVar("T")
K = TypeVar("K")
M = TypeVar("M", bound=Message)

_SCALARS: dict[object, int] = {
    bool: FieldDescriptor.TYPE_BOOL,
    int: FieldDescriptor.TYPE_INT64,
    float: FieldDescriptor.TYPE_DOUBLE,
    str: FieldDescriptor.TYPE_STRING,
    bytes: FieldDescriptor.TYPE_BYTES,
}


# The same value goes to every node of a world, and comes back from each, and is large: its message is made once, and
# read once.
_SHARED = frozenset({JobSpec})
_KEPT_LIMIT = 16


class ProtocolError(ValueError):
    """A value that cannot be put on the wire, or a message that breaks the protocol; names the field."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def __str__(self) -> str:
        """Give `ranks[0].state: 99 is no RankState`."""
        return f"{self.path}: {self.problem}" if self.path else self.problem

    def within(self, step: str) -> "ProtocolError":
        """Put the name of the enclosing field before the path."""
        joint = "." if self.path and not self.path.startswith("[") else ""
        return ProtocolError(self.problem, f"{step}{joint}{self.path}")


def to_proto(value: object, message_cls: type[M]) -> M:
    """Make the message that says what `value` says. ProtocolError: not Unicode, or beyond 64 bits."""
    cls: type = type(value)
    message = message_cls()
    _pair(cls, message_cls.DESCRIPTOR).write(value, message)
    return message


def from_proto(message: Message, cls: type[T]) -> T:
    """Make the `cls` that `message` says. ProtocolError: a part is missing, not finite, or of an unknown kind."""
    return typing.cast(T, _pair(typing.cast(type, cls), message.DESCRIPTOR).read(message))


class Envelope(Generic[T, M]):
    """A message that is one oneof, and the dataclasses that its arms are. `T` is their union."""

    def __init__(self, message_cls: type[M], classes: tuple[type[T], ...]) -> None:
        self.message_cls = message_cls
        (oneof,) = message_cls.DESCRIPTOR.oneofs_by_name.values()
        self._oneof = oneof.name
        by_name: dict[str, type] = {cls.__name__: cls for cls in classes}
        descriptors = {arm.name: typing.cast(Descriptor, arm.message_type) for arm in oneof.fields}
        odd = by_name.keys() ^ {descriptor.name for descriptor in descriptors.values()}
        _expect(not odd, f"{message_cls.DESCRIPTOR.name} and its union differ in {sorted(odd)}")
        self._pairs = {arm: _pair(by_name[descriptor.name], descriptor) for arm, descriptor in descriptors.items()}
        self._arms = {by_name[descriptor.name]: arm for arm, descriptor in descriptors.items()}

    def wrap(self, value: T) -> M:
        """Put a value into its arm."""
        envelope = self.message_cls()
        name = self._arms[type(value)]
        arm = getattr(envelope, name)
        arm.SetInParent()
        self._pairs[name].write(value, arm)
        return envelope

    def unwrap(self, envelope: M) -> T | None:
        """Take the value out of its arm; None if the arm is one that a newer peer knows: skip it."""
        name = envelope.WhichOneof(self._oneof)
        if name is None:
            return None
        try:
            return typing.cast(T, self._pairs[name].read(getattr(envelope, name)))
        except ProtocolError as error:
            raise error.within(name) from None


# ---- plans


@dataclasses.dataclass(frozen=True, slots=True)
class _Pair:
    """How one dataclass is written into one message, and read from it."""

    write: Callable[[object, Message], None]
    read: Callable[[Message], object]


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """How one dataclass and one message map: the fields by kind."""

    cls: type
    absent: dict[str, object]
    """What fields with presence are when they are absent."""
    plain: list[str]
    """Scalars that are always there."""
    optional: list[str]
    """Scalars with presence."""
    floats: list[str]
    """Those among both that must be finite."""
    enums: list[tuple[str, dict[StrEnum, int], dict[int, StrEnum]]]
    messages: list[tuple[str, _Pair]]
    lists: list[str]
    message_lists: list[tuple[str, _Pair]]
    maps: list[str]


@functools.cache
def _pair(cls: type, descriptor: Descriptor) -> _Pair:
    """Match the two, field by field."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if odd := fields.keys() ^ descriptor.fields_by_name.keys():
        raise TypeError(f"{cls.__name__} and its message differ in {sorted(odd)}")
    plan = _Plan(cls, {}, [], [], [], [], [], [], [], [])
    hints = typing.get_type_hints(cls)
    for name, wire in descriptor.fields_by_name.items():
        try:
            _add(plan, fields[name], hints[name], wire)
        except (KeyError, TypeError) as error:
            raise TypeError(f"{cls.__name__}.{name} does not match its message: {error}") from error
    write, read = _writer(plan), _reader(plan)
    return _Pair(_writes_once(write), _reads_once(read)) if cls in _SHARED else _Pair(write, read)


def _add(plan: _Plan, field: "dataclasses.Field[Any]", hint: object, wire: FieldDescriptor) -> None:
    """Put one field into the list of its kind."""
    name = field.name
    match typing.get_origin(hint), typing.get_args(hint):
        case types.UnionType, (inner, types.NoneType):
            hint, nullable = inner, True
        case _:
            nullable = False
    match typing.get_origin(hint), typing.get_args(hint):
        case builtin, (item, _) if builtin is tuple and dataclasses.is_dataclass(item):
            _expect(wire.is_repeated, "it is not repeated")
            plan.message_lists.append((name, _pair(typing.cast(type, item), wire.message_type)))
        case builtin, (item, _) if builtin is tuple:
            _expect(wire.is_repeated and wire.type == _SCALARS[item], "it is not repeated, or of another type")
            plan.lists.append(name)
        case builtin, (key, item) if builtin is dict and key is item is str:
            _expect(wire.message_type is not None and wire.message_type.GetOptions().map_entry, "it is not a map")
            plan.maps.append(name)
        case _ if dataclasses.is_dataclass(hint):
            _expect(not wire.is_repeated, "it is repeated")
            if nullable:
                plan.absent[name] = None
            elif field.default_factory is not dataclasses.MISSING:  # an older peer does not know the field
                plan.absent[name] = field.default_factory()
            plan.messages.append((name, _pair(typing.cast(type, hint), wire.message_type)))
        case _ if isinstance(hint, type) and issubclass(hint, StrEnum):
            _expect(not wire.has_presence, "an enum is absent when it is its zero, not by `optional`")
            if field.default is not dataclasses.MISSING:  # an older peer does not know the field
                plan.absent[name] = field.default
            plan.enums.append((name, *_enum_tables(hint, typing.cast(EnumDescriptor, wire.enum_type))))
        case _:
            _add_scalar(plan, field, hint, nullable=nullable, wire=wire)


def _add_scalar(
    plan: _Plan, field: "dataclasses.Field[Any]", hint: object, *, nullable: bool, wire: FieldDescriptor
) -> None:
    _expect(wire.type == _SCALARS[hint] and not wire.is_repeated, "it is of another type")
    default = None if nullable and field.default is dataclasses.MISSING else field.default
    has_presence = nullable or (default is not dataclasses.MISSING and bool(default))
    _expect(wire.has_presence == has_presence, "`optional` is for None and for defaults that are not zero")
    if has_presence:
        plan.absent[field.name] = default
        plan.optional.append(field.name)
    else:
        plan.plain.append(field.name)
    if hint is float:
        plan.floats.append(field.name)


def _expect(condition: bool, problem: str) -> None:
    if not condition:
        raise TypeError(problem)


def _enum_tables(cls: type[StrEnum], wire: EnumDescriptor) -> tuple[dict[StrEnum, int], dict[int, StrEnum]]:
    """Pair RankState.GONE with RANK_STATE_GONE, and so on for every member."""
    prefix = "".join(f"_{c}" if c.isupper() else c for c in cls.__name__).lstrip("_").upper()
    values = {name: value.number for name, value in wire.values_by_name.items() if value.number}
    numbers: dict[StrEnum, int] = {member: values.pop(f"{prefix}_{member.name}") for member in cls}
    _expect(not values, f"its enum has more: {sorted(values)}")
    return numbers, {number: member for member, number in numbers.items()}


# ---- two functions for each plan


def _writer(plan: _Plan) -> Callable[[object, Message], None]:
    """Make what writes each field. `at` names the one at hand, for whoever is told what is wrong with it."""
    lines = ["at = ''", "try:"]
    known: dict[str, object] = {"write_all": _write_all, "refuse": _refuse}
    for name in plan.plain:
        lines += [f"    at = '{name}'", f"    message.{name} = value.{name}"]
    for name in plan.optional:
        lines += [f"    at, part = '{name}', value.{name}", f"    if part is not None: message.{name} = part"]
    for name, numbers, _ in plan.enums:
        known[f"numbers_{name}"] = numbers
        lines += [f"    message.{name} = numbers_{name}[value.{name}]"]
    for name, pair in plan.messages:
        known[f"write_{name}"] = pair.write
        lines += [f"    at, part = '{name}', value.{name}", "    if part is not None:"]
        lines += [f"        message.{name}.SetInParent()", f"        write_{name}(part, message.{name})"]
    for name in plan.lists:
        lines += [f"    at, part = '{name}', value.{name}", f"    if part: message.{name}.extend(part)"]
    for name, pair in plan.message_lists:
        known[f"write_{name}"] = pair.write
        lines += [f"    at, part = '{name}', value.{name}"]
        lines += [f"    if part: write_all(part, message.{name}, write_{name})"]
    for name in plan.maps:
        lines += [f"    at, part = '{name}', value.{name}", f"    if part: message.{name}.update(part)"]
    lines += ["    return", "except ValueError as error:", "    refuse(error, at)"]
    return _function("value, message", lines, known)


def _reader(plan: _Plan) -> Callable[[Message], object]:
    """Make what reads each field; `at` names the one at hand, as in `_writer`."""
    lines = ["at = ''", "try:"]
    known: dict[str, object] = {
        "cls": plan.cls,
        "ProtocolError": ProtocolError,
        "isfinite": math.isfinite,
        "read_all": _read_all,
        "unknown": _unknown,
        **{f"absent_{name}": value for name, value in plan.absent.items()},
    }
    its = {name: f"message.{name}" for name in plan.plain}
    its |= {name: f"message.{name} if message.HasField('{name}') else absent_{name}" for name in plan.optional}
    its |= {name: f"tuple(message.{name}) if message.{name} else ()" for name in plan.lists}
    its |= {name: f"dict(message.{name})" for name in plan.maps}
    for name in plan.floats:
        lines += [f"    at, its_{name} = '{name}', {its[name]}"]
        lines += [f"    if its_{name} is not None and not isfinite(its_{name}):"]
        lines += ["        raise ProtocolError('is not a finite number')"]
        its[name] = f"its_{name}"
    for name, _, members in plan.enums:
        known[f"members_{name}"] = members | ({0: plan.absent[name]} if name in plan.absent else {})
        lines += [f"    at, its_{name} = '{name}', members_{name}.get(message.{name})"]
        lines += [f"    if its_{name} is None: unknown(message.{name}, members_{name})"]
        its[name] = f"its_{name}"
    for name, pair in plan.messages:
        known[f"read_{name}"] = pair.read
        without = f"its_{name} = absent_{name}" if name in plan.absent else "raise ProtocolError('is missing')"
        lines += [f"    at = '{name}'", f"    if message.HasField('{name}'): its_{name} = read_{name}(message.{name})"]
        lines += [f"    else: {without}"]
        its[name] = f"its_{name}"
    for name, pair in plan.message_lists:
        known[f"read_{name}"] = pair.read
        lines += [
            f"    at = '{name}'",
            f"    its_{name} = read_all(message.{name}, read_{name}) if message.{name} else ()",
        ]
        its[name] = f"its_{name}"
    # Not by the class itself: a call with names of arguments takes three times as long as this.
    known["new"] = object.__new__
    lines += ["    made = new(cls)"]
    for name, value in its.items():
        known[f"set_{name}"] = vars(plan.cls)[name].__set__
        lines += [f"    set_{name}(made, {value})"]
    lines += ["    return made", "except ProtocolError as error:", "    raise error.within(at) from None"]
    return _function("message", lines, known)


def _function(parameters: str, lines: list[str], known: dict[str, object]) -> Callable[..., Any]:
    """Make a function of lines of source, in which the names in `known` have these values."""
    body = "\n    ".join(lines)
    exec(f"def made({parameters}):\n    {body}", known)  # noqa: S102 - of fields' names in our own messages, no others
    return typing.cast(Callable[..., Any], known["made"])


# ---- the work


def _write_all(values: Iterable[object], messages: Any, write: Callable[[object, Message], None]) -> None:
    done = 0
    try:
        for done, value in enumerate(values):  # noqa: B007 - how many were written tells which is wrong
            write(value, messages.add())
    except ProtocolError as error:
        raise error.within(f"[{done}]") from error.__cause__


def _read_all(messages: Iterable[Message], read: Callable[[Message], object]) -> tuple[object, ...]:
    items: list[object] = []
    try:
        for message in messages:
            items.append(read(message))  # noqa: PERF401 - how many were read tells which is wrong
    except ProtocolError as error:
        raise error.within(f"[{len(items)}]") from None
    return tuple(items)


def _refuse(error: ValueError, name: str) -> NoReturn:
    """Say why the field `name` cannot be written."""
    if isinstance(error, ProtocolError):
        raise error.within(name) from error.__cause__
    if isinstance(error, UnicodeEncodeError):
        raise ProtocolError("has bytes that are not Unicode text; remove or encode them", name) from error
    raise ProtocolError(f"cannot be sent: {error}", name) from error


def _unknown(number: int, members: dict[int, StrEnum]) -> NoReturn:
    kind = type(next(iter(members.values()))).__name__
    raise ProtocolError(f"{number} is no {kind} known to this version")


def _writes_once(write: Callable[[object, Message], None]) -> Callable[[object, Message], None]:
    """Have a value that was among the last few copied from the message made then."""
    kept: dict[int, tuple[object, Message]] = {}  # with the value, so that no other one has its id

    def copy(value: object, message: Message) -> None:
        known = kept.get(id(value))
        if known is None:
            made = type(message)()
            write(value, made)
            known = _keep(kept, id(value), (value, made))
        message.CopyFrom(known[1])

    return copy


def _reads_once(read: Callable[[Message], object]) -> Callable[[Message], object]:
    """Have a message that was among the last few give the value made then."""
    kept: dict[bytes, object] = {}

    def find(message: Message) -> object:
        said = message.SerializeToString(deterministic=True)
        known = kept.get(said)
        return _keep(kept, said, read(message)) if known is None else known

    return find


def _keep(kept: dict[K, T], key: K, value: T) -> T:
    while len(kept) >= _KEPT_LIMIT:
        kept.pop(next(iter(kept)), None)
    kept[key] = value
    return value
