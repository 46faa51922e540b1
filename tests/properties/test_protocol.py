"""Every value that goes over the wire comes back as it was, whatever it holds."""

import contextlib
import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest
from dlroverd_agent.core import inputs
from dlroverd_agent.peers import service as peer_service
from dlroverd_agent.preflight import code
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.model import (
    cadence,
    checkpoint,
    checkup,
    diagnosis_view,
    difference,
    explain,
    fault,
    hang,
    ids,
    job,
    kernel_log,
    node,
    node_view,
    placement,
    signal,
    spooled,
    stacks,
    telemetry,
    trust,
    view,
    world,
)
from dlroverd.protocol import messages
from dlroverd.protocol.convert import Envelope, ProtocolError, from_proto, to_proto
from dlroverd.protocol.v1 import agent_service_pb2, common_pb2, control_service_pb2, peer_service_pb2, trust_service_pb2

# How long an example takes is no property of the wire.
EXAMPLES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])

FILES = tuple(
    each.DESCRIPTOR
    for each in (common_pb2, agent_service_pb2, control_service_pb2, peer_service_pb2, trust_service_pb2)
)
ENVELOPES: dict[Any, Envelope[Any, Any]] = {
    messages.AgentMessage: messages.AGENT_MESSAGE,
    messages.DaemonMessage: messages.DAEMON_MESSAGE,
    messages.LogPiece: messages.LOG_PIECE,
    messages.JobLogsReply: messages.JOB_LOGS_REPLY,
}


def wire_messages() -> dict[str, type[Message]]:
    return {name: GetMessageClass(d) for file in FILES for name, d in file.message_types_by_name.items()}


def wire_dataclasses() -> Iterator[tuple[type, type[Message]]]:
    known = wire_messages()
    for module in (
        *(
            cadence,
            checkpoint,
            checkup,
            difference,
            explain,
            fault,
            hang,
            ids,
            job,
            kernel_log,
            node,
            diagnosis_view,
            node_view,
            placement,
            signal,
            spooled,
            stacks,
            telemetry,
            trust,
            view,
            world,
        ),
        *(messages, inputs, code, peer_service),
    ):
        for name, cls in vars(module).items():
            if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__ and name in known:
                yield typing.cast(type, cls), known[name]


PAIRS = dict(wire_dataclasses())


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Build any value that a type hint of a wire dataclass allows."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return st.builds(typing.cast(type, hint), **{f.name: values(hints[f.name]) for f in dataclasses.fields(hint)})
    if isinstance(hint, types.UnionType):
        return st.one_of(*map(values, typing.get_args(hint)))
    match typing.get_origin(hint), typing.get_args(hint):
        case builtin, parts if builtin is tuple and parts[-1] is not Ellipsis:
            return st.tuples(*map(values, parts))
        case builtin, (item, _) if builtin is tuple:
            return st.lists(values(item), max_size=3).map(tuple)
        case builtin, (key, item) if builtin is dict:
            return st.dictionaries(values(key), values(item), max_size=3)
    if hint is int:
        return st.integers(-(2**63), 2**63 - 1)
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.from_type(hint)


@pytest.mark.parametrize("cls", PAIRS, ids=lambda cls: cls.__name__)
@EXAMPLES
@given(data=st.data())
def test_a_value_survives_the_wire(cls: type, data: st.DataObject) -> None:
    value = data.draw(values(cls))
    wire = to_proto(value, PAIRS[cls]).SerializeToString()
    assert from_proto(PAIRS[cls].FromString(wire), cls) == value


@pytest.mark.parametrize("union", ENVELOPES, ids=lambda union: ENVELOPES[union].message_cls.DESCRIPTOR.name)
@EXAMPLES
@given(data=st.data())
def test_every_arm_survives_its_envelope(union: Any, data: st.DataObject) -> None:
    envelope, value = ENVELOPES[union], data.draw(values(union))
    wire = envelope.wrap(value).SerializeToString()
    assert envelope.unwrap(envelope.message_cls.FromString(wire)) == value


@EXAMPLES
@given(st.data())
def test_a_damaged_message_is_refused_or_is_another_value_and_nothing_else(data: st.DataObject) -> None:
    hello = data.draw(values(messages.Hello))
    wire = bytearray(messages.AGENT_MESSAGE.wrap(hello).SerializeToString())
    for position in data.draw(st.lists(st.integers(0, len(wire) - 1), max_size=3)):
        wire[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(wire)))
    with contextlib.suppress(DecodeError, ProtocolError):
        value = messages.AGENT_MESSAGE.unwrap(agent_service_pb2.AgentMessage.FromString(bytes(wire[:cut])))
        assert value is None or type(value) in typing.get_args(messages.AgentMessage)


@pytest.mark.parametrize("cls", PAIRS, ids=lambda cls: cls.__name__)
def test_each_field_has_its_counterpart(cls: type) -> None:
    assert {f.name for f in dataclasses.fields(cls)} == set(PAIRS[cls].DESCRIPTOR.fields_by_name)


def test_only_envelopes_requests_and_empty_replies_have_no_dataclass() -> None:
    rest = {name for name, cls in wire_messages().items() if cls not in PAIRS.values()}
    rest -= {envelope.message_cls.DESCRIPTOR.name for envelope in ENVELOPES.values()}
    assert {name for name in rest if not name.endswith(("Request", "Reply"))} == set()


def test_enums_begin_unspecified_and_whole_numbers_are_int64() -> None:
    for file in FILES:
        for enum in file.enum_types_by_name.values():
            assert enum.values_by_number[0].name.endswith("_UNSPECIFIED")
        for message in file.message_types_by_name.values():
            for field in message.fields:
                integral = field.cpp_type in {field.CPPTYPE_INT32, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64}
                assert not integral, f"{message.name}.{field.name}"
                assert field.type != field.TYPE_BYTES or (message.name, field.name) == ("LogChunk", "data")


def test_mutations_carry_a_request_id() -> None:
    mutations = {
        "SubmitJob",
        "CancelJob",
        "RestartJob",
        "ScaleJob",
        "SuspendJob",
        "ResumeJob",
        "AdoptNode",
        "HoldNodes",
        "ReleaseNodes",
        "ClearNodes",
        "PauseAutomation",
        "ResumeAutomation",
        "ConfirmDown",
        "OrderDrill",
        "CheckNodes",
        "ReplaySink",
    }
    service = control_service_pb2.DESCRIPTOR.services_by_name["ControlService"]
    reads = {
        m.name
        for m in service.methods
        if m.name.startswith(("List", "Get", "Watch")) or m.name in ("JobLogs", "JobStacks", "DryRun", "Redact")
    }
    assert {m.name for m in service.methods} == mutations | reads
    for method in service.methods:
        assert ("request_id" in method.input_type.fields_by_name) == (method.name in mutations), method.name
