"""Addresses, errors and versions, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import grpc
import grpc.aio
import pytest

from dlroverd.protocol import channel, version
from dlroverd.protocol.errors import REASON_KEY, STATUS, CallError, Reason, abort, from_rpc
from dlroverd.protocol.v1 import control_service_pb2 as pb
from dlroverd.protocol.v1 import control_service_pb2_grpc as rpc

Context = grpc.aio.ServicerContext[Any, Any]
GetJob = Callable[[pb.GetJobRequest, Context], Awaitable[pb.JobView]]


@asynccontextmanager
async def serving(get_job: GetJob, address: str) -> AsyncIterator[rpc.ControlServiceStub]:
    """Serve GetJob alone at an address, and give a stub for it."""
    handler = grpc.unary_unary_rpc_method_handler(get_job, pb.GetJobRequest.FromString, pb.JobView.SerializeToString)
    server = channel.new_server()
    service = pb.DESCRIPTOR.services_by_name["ControlService"].full_name
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetJob": handler}),))
    channel.listen(server, address)
    await server.start()
    try:
        async with channel.connect(address) as connected:
            yield rpc.ControlServiceStub(connected)
    finally:
        await server.stop(None)


def failure(get_job: GetJob, address: str, timeout_s: float | None = None) -> CallError:
    """Tell what a client is told when GetJob does this."""

    async def call() -> CallError:
        async with serving(get_job, address) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetJob(pb.GetJobRequest(job=1), timeout=timeout_s)
            return from_rpc(caught.value, address)

    return asyncio.run(call())


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix://{tmp_path}/s"


@pytest.mark.parametrize("reason", Reason)
def test_a_refusal_arrives_as_it_was_raised(reason: Reason, address: str) -> None:
    async def refuse(_: pb.GetJobRequest, context: Context) -> NoReturn:
        await abort(context, CallError(reason, "Nein, so größer nicht.\nTake 4."))

    error = failure(refuse, address)
    assert (error.reason, error.sentence, str(error)) == (reason, "Nein, so größer nicht.\nTake 4.", error.sentence)


def test_every_reason_has_a_status_of_its_own() -> None:
    assert set(STATUS) == set(Reason)
    assert len(set(STATUS.values())) == len(STATUS)


def test_a_very_long_sentence_is_cut_and_its_reason_kept(address: str) -> None:
    async def refuse(_: pb.GetJobRequest, context: Context) -> NoReturn:
        await abort(context, CallError(Reason.INVALID, "x" + "ü" * 50_000))

    error = failure(refuse, address)
    assert error.reason is Reason.INVALID
    assert error.sentence == "x" + "ü" * 999


def test_a_reason_of_a_newer_daemon_is_read_by_its_status(address: str) -> None:
    async def refuse(_: pb.GetJobRequest, context: Context) -> NoReturn:
        await context.abort(STATUS[Reason.REFUSED], "A new rule.", trailing_metadata=((REASON_KEY, "new_rule"),))
        raise AssertionError

    error = failure(refuse, address)
    assert (error.reason, error.sentence) == (Reason.REFUSED, "A new rule.")


def test_a_bug_of_the_daemon_is_called_one(address: str) -> None:
    async def fail(_: pb.GetJobRequest, __: Context) -> pb.JobView:
        raise ValueError("oops")

    error = failure(fail, address)
    assert error.reason is Reason.INTERNAL
    assert error.sentence.startswith(f"The daemon at {address} failed (UNKNOWN: ")


def test_a_daemon_that_does_not_answer_in_time(address: str) -> None:
    async def hang(_: pb.GetJobRequest, __: Context) -> pb.JobView:
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    error = failure(hang, address, timeout_s=0.2)
    assert error.reason is Reason.TIMED_OUT
    assert "did not answer in time" in error.sentence


def test_nobody_there_is_said_with_the_address(address: str) -> None:
    async def call() -> CallError:
        async with channel.connect(address) as connected:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rpc.ControlServiceStub(connected).GetJob(pb.GetJobRequest())
            return from_rpc(caught.value, address)

    error = asyncio.run(call())
    assert error.reason is Reason.UNAVAILABLE
    assert error.sentence == f"Nothing answers at {address}: start dlroverd there, or name another address."


def test_a_call_that_an_older_daemon_does_not_know(address: str) -> None:
    async def unused(_: pb.GetJobRequest, __: Context) -> pb.JobView:
        return pb.JobView()

    async def call() -> CallError:
        async with serving(unused, address) as stub:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetInfo(pb.GetInfoRequest())
            return from_rpc(caught.value, address)

    error = asyncio.run(call())
    assert error.reason is Reason.WRONG_VERSION
    assert "upgrade" in error.sentence


@pytest.mark.parametrize("folder", ["plain", "a b", "50%25", "größe", "what?#now", "at@home:1"])
def test_any_path_can_be_an_address(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    path = tmp_path / folder / "s"

    async def answer(request: pb.GetJobRequest, _: Context) -> pb.JobView:
        return pb.JobView(id=request.job)

    async def call() -> int:
        async with serving(answer, f"unix://{path}") as stub:
            assert path.is_socket()
            return (await stub.GetJob(pb.GetJobRequest(job=7))).id

    assert asyncio.run(call()) == 7


def test_a_message_of_eight_mebibytes_passes(address: str) -> None:
    reason = "x" * 8 * 1024 * 1024

    async def answer(_: pb.GetJobRequest, __: Context) -> pb.JobView:
        return pb.JobView(reason=reason)

    async def call() -> str:
        async with serving(answer, address) as stub:
            return (await stub.GetJob(pb.GetJobRequest())).reason

    assert asyncio.run(call()) == reason


@pytest.mark.parametrize("address", ["unix:///run/dlroverd/s", "unix:/run/dlroverd/s"])
def test_both_spellings_of_a_unix_address(address: str) -> None:
    assert channel.socket_path(address) == "/run/dlroverd/s"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("tcp://10.0.0.1:7000", "over TCP only agents are served; use unix:///path on the daemon's own host"),
        ("10.0.0.1:7000", "write unix:// and an absolute path"),
        ("unix:relative/s", "write unix:// and an absolute path"),
        ("unix:///run/dlroverd/", "write unix:// and an absolute path"),
        ("unix:///run/\0s", "write unix:// and an absolute path"),
        ("", "write unix:// and an absolute path"),
        ("unix:///" + "ü" * 54, "may have 107 bytes, this has 109; choose a shorter one"),
    ],
)
def test_an_address_that_cannot_be_used(address: str, sentence: str) -> None:
    with pytest.raises(channel.AddressError, match=sentence):
        channel.socket_path(address)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("tcp://gpu00:7700", ("gpu00", 7700)),
        ("tcp://10.0.0.1:1", ("10.0.0.1", 1)),
        ("tcp://[fd00::1]:65535", ("fd00::1", 65535)),
    ],
)
def test_a_tcp_address_has_a_host_and_a_port(address: str, parts: tuple[str, int]) -> None:
    channel.check_address(address)
    assert channel.host_port(address) == parts


@pytest.mark.parametrize(
    "rest",
    [
        "gpu00",
        "gpu00:",
        ":7700",
        "gpu00:0",
        "gpu00:65536",
        "fd00::1:7700",
        "[fd00::1:7700",
        "a@b:1",
        "gpu00:1/x",
        "::1",
    ],
)
def test_a_tcp_address_that_cannot_be_used(rest: str) -> None:
    with pytest.raises(channel.AddressError, match=r"is no address; write tcp://HOST:PORT"):
        channel.check_address(f"tcp://{rest}")


def test_tcp_without_certificates_or_with_unreadable_ones_is_refused(tmp_path: Path) -> None:
    async def refusals() -> list[str]:
        said = []
        missing = channel.TlsFiles(ca=f"{tmp_path}/ca.pem", certificate="c", key="k")
        for tls in (None, missing):
            with pytest.raises(channel.AddressError) as called:
                channel.connect("tcp://127.0.0.1:1", tls)
            with pytest.raises(channel.AddressError) as bound:
                channel.listen(channel.new_server(), "tcp://127.0.0.1:1", tls)
            assert str(called.value) == str(bound.value)
            said.append(str(called.value))
        return said

    needed, unreadable = asyncio.run(refusals())
    assert needed == "tcp://127.0.0.1:1: TCP needs mutual TLS; set tls (ca, certificate, key)."
    assert unreadable.startswith(f"{tmp_path}/ca.pem: cannot be read: No such file or directory; see `tls`")


def test_the_longest_path_can_be_listened_on_and_called(tmp_path: Path) -> None:
    path = f"{tmp_path}/{'s' * (channel.SOCKET_PATH_LIMIT_BYTES - len(str(tmp_path)) - 1)}"

    async def answer(request: pb.GetJobRequest, _: Context) -> pb.JobView:
        return pb.JobView(id=request.job)

    async def call() -> int:
        async with serving(answer, f"unix://{path}") as stub:
            return (await stub.GetJob(pb.GetJobRequest(job=7))).id

    assert asyncio.run(call()) == 7


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    async def listen() -> None:
        channel.listen(channel.new_server(), f"unix://{tmp_path}/none/s")

    with pytest.raises(channel.AddressError, match=f"cannot listen there; {tmp_path}/none must exist"):
        asyncio.run(listen())


def test_versions() -> None:
    assert version.agree(version.PROTOCOL_VERSION, peer="dlroverd-agent") == version.PROTOCOL_VERSION
    assert version.agree(version.PROTOCOL_VERSION + 5, peer="dlroverd-agent") == version.PROTOCOL_VERSION
    with pytest.raises(
        CallError, match=r"^dlroverd-agent speaks protocol 0; 1 or newer is needed here: upgrade"
    ) as caught:
        version.agree(0, peer="dlroverd-agent")
    assert caught.value.reason is Reason.WRONG_VERSION
