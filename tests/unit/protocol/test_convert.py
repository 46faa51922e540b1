"""What the converter refuses, what it says, and what older and newer peers mean to each other."""

import dataclasses
from pathlib import Path

import pytest

from dlroverd.model.fault import ErrorReport, ExitInfo
from dlroverd.model.ids import RankKey, RoundKey
from dlroverd.model.job import JobSpec, RankState, Resources, RoleSpec, User
from dlroverd.model.node import Device, NodeFacts
from dlroverd.model.world import (
    Assignment,
    Desired,
    Held,
    JobDescriptor,
    Observed,
    RankObservation,
    Tombstone,
)
from dlroverd.protocol.convert import Envelope, ProtocolError, from_proto, to_proto
from dlroverd.protocol.messages import AGENT_MESSAGE, DAEMON_MESSAGE, Beat, Bye, Hello
from dlroverd.protocol.v1 import agent_service_pb2, common_pb2

GOLDEN = Path(__file__).parent / "golden"

SPEC = JobSpec(
    name="digits",
    user=User(uid=1000, gid=1000, name="ann"),
    roles=(
        RoleSpec(
            argv=("/usr/bin/python3", "train.py", "--größe", "3"),
            cwd="/home/ann",
            env={"OMP_NUM_THREADS": "2", "EMPTY": ""},
            nodes_max=2,
            nproc_per_node=2,
            restart_with=(),
        ),
    ),
    max_restarts=0,
    cancel_grace_s=0.1,
)
ASSIGNMENT = Assignment(
    round=RoundKey(1, "trainer", 0, 2),
    world_size=4,
    group_rank=1,
    group_world_size=2,
    first_rank=2,
    nproc=2,
    master_addr="10.0.0.1",
    master_port=20001,
    restart_count=1,
    devices=("GPU-1", "GPU-2"),
)
OBSERVED = Observed(
    version=7,
    position=99,
    ranks=(
        RankObservation(key=RankKey(1, "trainer", 0, 2, 2), state=RankState.RUNNING, pid=4711, started_at=1.7e9 + 0.1),
        RankObservation(
            key=RankKey(1, "trainer", 0, 2, 3),
            state=RankState.EXITED,
            exit=ExitInfo(
                exited_at=1.7e9 + 60.000001,
                code=0,
                requested=True,
                step=0,
                error=ErrorReport(source="traceback", type="ValueError", message="nein", file="train.py", line=12),
                output_tail="last words\n",
            ),
        ),
    ),
)
HELLO = Hello(
    node="n1",
    protocol_version=1,
    capabilities=("stacks",),
    facts=NodeFacts(
        hostname="n1.example",
        address="10.0.0.1",
        cpus=16,
        memory_bytes=2**37,
        slots=2,
        devices=(Device(uuid="GPU-1", model="NVIDIA H200", memory_bytes=150_754_820_096),),
        port_low=20000,
        port_high=20999,
        agent_version="0.1.0",
    ),
    boot_id="6f3c1d5e-0000-4000-8000-000000000001",
    log_id="b7d0",
    position=99,
    observed=OBSERVED,
    held=Held(assignments=(ASSIGNMENT,), jobs=(JobDescriptor(job=1, spec=SPEC),)),
)
DESIRED = Desired(
    log_id="b7d0",
    position=100,
    adopt_from="a1a1",
    jobs=(JobDescriptor(job=1, spec=SPEC),),
    assignments=(ASSIGNMENT,),
    tombstones=(Tombstone(round=RoundKey(1, "trainer", 0, 1), grace_s=1.0, evidence_s=0.5, reason="rank 1 died"),),
)


def golden(name: str) -> bytes:
    return bytes.fromhex((GOLDEN / name).read_text())


def test_the_hello_of_protocol_1_is_understood_for_ever() -> None:
    assert AGENT_MESSAGE.unwrap(agent_service_pb2.AgentMessage.FromString(golden("hello_1.hex"))) == HELLO


def test_the_desired_of_protocol_1_is_understood_for_ever() -> None:
    assert DAEMON_MESSAGE.unwrap(agent_service_pb2.DaemonMessage.FromString(golden("desired_1.hex"))) == DESIRED


def test_each_spec_is_sent_as_itself_though_the_same_one_is_converted_once() -> None:
    role = RoleSpec(argv=("/bin/true",), cwd="/")
    user = User(uid=1, gid=1, name="ann")
    for number in range(100):
        spec = JobSpec(name=f"job-{number}", user=user, roles=(dataclasses.replace(role, env={"N": str(number)}),))
        desired = Desired(
            log_id="a", position=1, jobs=(JobDescriptor(job=1, spec=spec), JobDescriptor(job=2, spec=spec))
        )
        for _ in range(2):
            assert DAEMON_MESSAGE.unwrap(DAEMON_MESSAGE.wrap(desired)) == desired


def test_empty_messages_are_there_all_the_same() -> None:
    hello = dataclasses.replace(HELLO, held=Held(), observed=Observed(version=0))
    wire = AGENT_MESSAGE.wrap(hello).SerializeToString()
    assert AGENT_MESSAGE.unwrap(agent_service_pb2.AgentMessage.FromString(wire)) == hello
    wire = AGENT_MESSAGE.wrap(Bye()).SerializeToString()
    assert AGENT_MESSAGE.unwrap(agent_service_pb2.AgentMessage.FromString(wire)) == Bye()


def test_a_field_that_an_older_peer_does_not_send_means_the_default_of_the_model() -> None:
    exit_info = from_proto(common_pb2.ExitInfo(exited_at=5.0), ExitInfo)
    assert exit_info == ExitInfo(exited_at=5.0)
    spec = from_proto(common_pb2.JobSpec(name="j", user=common_pb2.User(name="ann")), JobSpec)
    assert spec == JobSpec(name="j", user=User(uid=0, gid=0, name="ann"), roles=())
    assert from_proto(common_pb2.RoleSpec(name="r"), RoleSpec).resources == Resources()


def test_a_field_and_an_arm_of_a_newer_peer_are_skipped() -> None:
    unknown_field_200 = b"\xc2\x0c\x03new"
    beat = Beat(applied_log_id="b7d0", applied_position=3, observed_version=4)
    wire = to_proto(beat, agent_service_pb2.Beat).SerializeToString() + unknown_field_200
    assert from_proto(agent_service_pb2.Beat.FromString(wire), Beat) == beat
    assert AGENT_MESSAGE.unwrap(agent_service_pb2.AgentMessage.FromString(unknown_field_200)) is None


def observed_message() -> agent_service_pb2.Observed:
    return to_proto(OBSERVED, agent_service_pb2.Observed)


def test_a_missing_part_is_named() -> None:
    message = observed_message()
    message.ranks[1].ClearField("key")
    with pytest.raises(ProtocolError, match=r"^ranks\[1\]\.key: is missing$"):
        from_proto(message, Observed)


@pytest.mark.parametrize("number", [0, 99])
def test_an_unknown_kind_is_named(number: int) -> None:
    envelope = agent_service_pb2.AgentMessage()
    envelope.observed.CopyFrom(observed_message())
    # As it comes from the network: an open enum takes any number.
    envelope.observed.ranks[0].state = number  # type: ignore[assignment]
    received = agent_service_pb2.AgentMessage.FromString(envelope.SerializeToString())
    sentence = rf"^observed\.ranks\[0\]\.state: {number} is no RankState known to this version$"
    with pytest.raises(ProtocolError, match=sentence):
        AGENT_MESSAGE.unwrap(received)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_named(number: float) -> None:
    message = observed_message()
    message.ranks[1].exit.exited_at = number
    with pytest.raises(ProtocolError, match=r"^ranks\[1\]\.exit\.exited_at: is not a finite number$"):
        from_proto(message, Observed)


def test_text_that_is_not_unicode_is_named_before_it_is_sent() -> None:
    for change, path in (
        ({"argv": ("a", "\udcff")}, "argv"),
        ({"env": {"K": "\udcff"}}, "env"),
        ({"cwd": "\udcff"}, "cwd"),
    ):
        spec = dataclasses.replace(SPEC, roles=(SPEC.roles[0], dataclasses.replace(SPEC.roles[0], **change)))
        with pytest.raises(ProtocolError, match=rf"^roles\[1\]\.{path}: has bytes that are not Unicode"):
            to_proto(spec, common_pb2.JobSpec)


def test_a_number_beyond_64_bits_is_named_before_it_is_sent() -> None:
    with pytest.raises(ProtocolError, match=r"^job: cannot be sent"):
        to_proto(RoundKey(2**63, "trainer", 0, 1), common_pb2.RoundKey)


@dataclasses.dataclass(frozen=True)
class OtherFields:
    job: int
    wrong: str


@dataclasses.dataclass(frozen=True)
class OtherType:
    uid: int
    gid: str
    name: str
    home: str = ""
    groups: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class OtherDefault:
    uid: int
    gid: int = 100
    name: str = ""
    home: str = ""
    groups: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Text:
    text: str


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (
            OtherFields,
            r"OtherFields and its message differ in \['gid', 'groups', 'home', 'job', 'name', 'uid', 'wrong'\]",
        ),
        (OtherType, "OtherType.gid does not match its message: it is of another type"),
        (OtherDefault, "OtherDefault.gid does not match its message: `optional` is for"),
    ],
)
def test_a_dataclass_that_does_not_match_its_message_is_our_mistake(cls: type, sentence: str) -> None:
    with pytest.raises(TypeError, match=sentence):
        from_proto(common_pb2.User(uid=1), cls)


def test_an_envelope_wants_exactly_its_arms() -> None:
    with pytest.raises(
        TypeError, match=r"LogPiece and its union differ in .'KernelLog', 'LogChunk', 'LogFailed', 'LogOpen', 'Text'."
    ):
        Envelope(agent_service_pb2.LogPiece, (Text,))
