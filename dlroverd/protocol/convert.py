"""Turns frozen dataclasses into protobuf messages of the same shape and back. One converter serves them all.

What it needs to know is read from the dataclass's type hints and the message's descriptor, once per pair; a pair that
does not match is a TypeError (a mistake of ours, which the tests find for every pair there is). What a peer sent wrong
is a ProtocolError.

Whether values make sense (a node_unit that divides, a port in range) is not decided here: only that they are there,
are finite, and are of a known kind.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable
from enum import StrEnum
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from dlroverd.model.job import JobSpec

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_SCALARS: dict[object, int] = {
    bool: FieldDescriptor.TYPE_BOOL,
    int: FieldDescriptor.TYPE_INT64,
    float: FieldDescriptor.TYPE_DOUBLE,
    str: FieldDescriptor.TYPE_STRING,
    bytes: FieldDescriptor.TYPE_BYTES,
}


# The same value goes to every node of a world, and is large: its message is made once. Kept with its value, so that no
# other value has its id.
_SHARED = frozenset({JobSpec})
_KEPT: dict[int, tuple[object, Message]] = {}
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
    _write(value, message, _plan(cls, message_cls.DESCRIPTOR))
    return message


def from_proto(message: Message, cls: type[T]) -> T:
    """Make the `cls` that `message` says. ProtocolError: a part is missing, not finite, or of an unknown kind."""
    plan = _plan(typing.cast(type, cls), message.DESCRIPTOR)
    return typing.cast(T, _read(message, plan))


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
        self._plans = {arm: _plan(by_name[descriptor.name], descriptor) for arm, descriptor in descriptors.items()}
        self._arms = {by_name[descriptor.name]: arm for arm, descriptor in descriptors.items()}

    def wrap(self, value: T) -> M:
        """Put a value into its arm."""
        envelope = self.message_cls()
        name = self._arms[type(value)]
        arm = getattr(envelope, name)
        arm.SetInParent()
        _write(value, arm, self._plans[name])
        return envelope

    def unwrap(self, envelope: M) -> T | None:
        """Take the value out of its arm; None if the arm is one that a newer peer knows: skip it."""
        name = envelope.WhichOneof(self._oneof)
        if name is None:
            return None
        try:
            return typing.cast(T, _read(getattr(envelope, name), self._plans[name]))
        except ProtocolError as error:
            raise error.within(name) from None


# ---- plans


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """How one dataclass and one message map. Fields are listed by kind, so that no call is made per field."""

    cls: Callable[..., object]
    absent: dict[str, object]
    """What fields with presence are when they are absent."""
    plain: list[str]
    """Scalars that are always there."""
    optional: list[str]
    """Scalars with presence."""
    floats: list[str]
    """Those among both that must be finite."""
    enums: list[tuple[str, dict[StrEnum, int], dict[int, StrEnum]]]
    messages: list[tuple[str, "_Plan", bool]]
    """The last says whether it is required."""
    lists: list[str]
    message_lists: list[tuple[str, "_Plan"]]
    maps: list[str]


@functools.cache
def _plan(cls: type, descriptor: Descriptor) -> _Plan:
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
    return plan


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
            plan.message_lists.append((name, _plan(typing.cast(type, item), wire.message_type)))
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
            plan.messages.append((name, _plan(typing.cast(type, hint), wire.message_type), name not in plan.absent))
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


# ---- the work


def _write(value: object, message: Message, plan: _Plan) -> None:
    name = ""
    try:
        for name in plan.plain:
            setattr(message, name, getattr(value, name))
        for name in plan.optional:
            if (scalar := getattr(value, name)) is not None:
                setattr(message, name, scalar)
        for name, numbers, _ in plan.enums:
            setattr(message, name, numbers[getattr(value, name)])
        for name, inner, _ in plan.messages:
            if (part := getattr(value, name)) is not None:
                message_part = getattr(message, name)
                message_part.SetInParent()
                if inner.cls in _SHARED:
                    message_part.CopyFrom(_shared(part, message_part, inner))
                else:
                    _write(part, message_part, inner)
        for name in plan.lists:
            getattr(message, name).extend(getattr(value, name))
        for field, inner in plan.message_lists:
            add = getattr(message, field).add
            for index, item in enumerate(getattr(value, field)):
                name = f"{field}[{index}]"
                _write(item, add(), inner)
        for name in plan.maps:
            getattr(message, name).update(getattr(value, name))
    except ProtocolError as error:
        raise error.within(name) from error.__cause__
    except UnicodeEncodeError as error:
        raise ProtocolError("has bytes that are not Unicode text; remove or encode them", name) from error
    except ValueError as error:
        raise ProtocolError(f"cannot be sent: {error}", name) from error


def _shared(value: object, like: Message, plan: _Plan) -> Message:
    """Give the message of a value, like `like`: the one made before if it is among the last few."""
    kept = _KEPT.get(id(value))
    if kept is None:
        made = type(like)()
        _write(value, made, plan)
        while len(_KEPT) >= _KEPT_LIMIT:
            _KEPT.pop(next(iter(_KEPT)), None)
        kept = _KEPT[id(value)] = value, made
    return kept[1]


def _read(message: Message, plan: _Plan) -> object:
    values = plan.absent.copy()
    name = ""
    try:
        for name in plan.plain:
            values[name] = getattr(message, name)
        for name in plan.optional:
            if message.HasField(name):
                values[name] = getattr(message, name)
        for name in plan.floats:
            if (number := values[name]) is not None and not math.isfinite(typing.cast(float, number)):
                raise ProtocolError("is not a finite number")
        for name, _, members in plan.enums:
            if name in plan.absent and not getattr(message, name):
                continue
            if (member := members.get(getattr(message, name))) is None:
                kind = type(next(iter(members.values()))).__name__
                raise ProtocolError(f"{getattr(message, name)} is no {kind} known to this version")
            values[name] = member
        for name, inner, required in plan.messages:
            if message.HasField(name):
                values[name] = _read(getattr(message, name), inner)
            elif required:
                raise ProtocolError("is missing")
        for name in plan.lists:
            values[name] = tuple(getattr(message, name))
        for field, inner in plan.message_lists:
            items: list[object] = []
            for index, item in enumerate(getattr(message, field)):
                name = f"{field}[{index}]"
                items.append(_read(item, inner))
            values[field] = tuple(items)
        for name in plan.maps:
            values[name] = dict(getattr(message, name))
    except ProtocolError as error:
        raise error.within(name) from None
    return plan.cls(**values)
