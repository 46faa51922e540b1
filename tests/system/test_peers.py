"""What agents ask each other, over real TLS on addresses of this host, and how they find out who is there."""

import asyncio
import contextlib
import os
import pwd
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from dlroverd_agent.core import (
    AgentCore,
    AskPeer,
    Checked,
    DesiredArrived,
    Followed,
    Input,
    KnownRound,
    Recovered,
    RoundsHeard,
    SuspectCalled,
)
from dlroverd_agent.peers.calls import PeerCaller
from dlroverd_agent.peers.peers import Peers

from dlroverd.config.agent import AgentConfig
from dlroverd.config.tls import TlsConfig
from dlroverd.model.fault import PORT_TAKEN
from dlroverd.model.ids import GangKey
from dlroverd.model.job import JobSpec, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, JobDescriptor, NodeCheck, Peer, Tombstone
from dlroverd.protocol.channel import AddressError, TlsFiles
from dlroverd.protocol.v1 import peer_service_pb2 as pb
from dlroverd.protocol.v1.peer_service_pb2_grpc import PeerServiceStub
from dlroverd.testing.certificates import Authority

LIMIT_S = 60
GANG = GangKey(1, "trainer", 0)
ME = pwd.getpwuid(os.geteuid())
T = TypeVar("T", bound=Input)


def free_port() -> int:
    """Find a port that is free on this host now."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        return int(probe.getsockname()[1])


async def enough_memory(assignment: Assignment, spec: JobSpec) -> str:
    """Say of any job that its checkpoint memory fits."""
    del assignment, spec
    return ""


class Node:
    """One agent among others: its real core, its dealings with them, and what it was told."""

    def __init__(self, root: Path, authority: Authority, name: str, address: str) -> None:
        self.port = free_port()
        self.files = authority.issue(name)
        config = AgentConfig(
            node=name,
            tls=TlsConfig(ca=self.files.ca, certificate=self.files.certificate, key=self.files.key),
            peer_listen=f"tcp://{address}:{self.port}",
            state_dir=str(root),
        )
        self.peer = Peer(node=name, addresses=(address,), port=self.port)
        self.core = AgentCore(name, Followed())
        self.core.handle(Recovered(()), 0.0)
        self._told: asyncio.Queue[Input] = asyncio.Queue()
        self.peers = Peers(config, self.core, self._told.put_nowait, enough_memory)

    def takes(self, position: int, spec: JobSpec, *parts: Assignment, stop: int = 0) -> None:
        """Have its core take what the daemon wants."""
        tombstones = (Tombstone(round=GANG.at(stop), grace_s=1.0, evidence_s=0.5, reason="fault"),) if stop else ()
        jobs = (JobDescriptor(job=1, spec=spec),)
        wanted = Desired(log_id="A", position=position, jobs=jobs, assignments=parts, tombstones=tombstones)
        self.core.handle(DesiredArrived(wanted), 1.0)

    async def told(self, kind: type[T]) -> T:
        """Wait for the next thing that its core is told."""
        async with asyncio.timeout(LIMIT_S):
            item = await self._told.get()
        assert isinstance(item, kind)
        return item

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        assert await self.peers.serve() == self.port
        try:
            yield
        finally:
            await self.peers.close()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def n1(tmp_path: Path, authority: Authority) -> Node:
    return Node(tmp_path, authority, "n1", "127.0.0.2")


@pytest.fixture
def n2(tmp_path: Path, authority: Authority) -> Node:
    return Node(tmp_path, authority, "n2", "127.0.0.3")


@contextlib.contextmanager
def frozen(address: str) -> Iterator[int]:
    """Stand for a frozen host: its kernel takes connections, and nobody ever answers; gives the port."""
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def spec(cwd: Path, *, allow_mismatch: bool = False) -> JobSpec:
    role = RoleSpec(argv=(sys.executable, "train.py"), cwd=str(cwd), nodes_min=2, nodes_max=2)
    user = User(uid=ME.pw_uid, gid=ME.pw_gid, name=ME.pw_name)
    return JobSpec(name="digits", user=user, roles=(role,), allow_mismatch=allow_mismatch)


def part(master: Node, group_rank: int, port: int = 0) -> Assignment:
    return Assignment(
        round=GANG.at(1),
        world_size=2,
        group_rank=group_rank,
        group_world_size=2,
        first_rank=group_rank,
        nproc=1,
        master_addr=master.peer.addresses[0],
        master_port=port or free_port(),
        restart_count=0,
        checking=True,
        master=master.peer,
    )


# ---- who answers


def test_an_agent_is_believed_under_its_own_name_only(n1: Node, n2: Node) -> None:
    async def scene() -> None:
        caller = PeerCaller(n1.files)
        async with n2.serving():
            assert await caller.answers(n2.peer)
            assert not await caller.answers(replace(n2.peer, node="n3"))
        assert not await caller.answers(n2.peer)

    asyncio.run(scene())


def test_a_stranger_gets_no_answer(n2: Node, tmp_path: Path) -> None:
    stranger = Authority(tmp_path / "other").issue("n1")
    mixed = TlsFiles(ca=n2.files.ca, certificate=stranger.certificate, key=stranger.key)

    credentials = grpc.ssl_channel_credentials(Path(n2.files.ca).read_bytes())

    async def without_a_certificate() -> grpc.StatusCode:
        options = (("grpc.ssl_target_name_override", "n2"),)
        async with grpc.aio.secure_channel(f"127.0.0.3:{n2.port}", credentials, options=options) as wire:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await PeerServiceStub(wire).Call(pb.CallRequest(), timeout=LIMIT_S)
            return refused.value.code()

    async def scene() -> None:
        async with n2.serving():
            assert await PeerCaller(n2.files).answers(n2.peer)
            assert not await PeerCaller(stranger).answers(n2.peer)
            assert not await PeerCaller(mixed).answers(n2.peer)
            assert await without_a_certificate() is grpc.StatusCode.UNAVAILABLE

    asyncio.run(scene())


def test_a_port_that_another_program_has_is_named(n1: Node) -> None:
    async def scene() -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.2", n1.port))
            listener.listen()
            with pytest.raises(AddressError, match=f"another program has port {n1.port}; stop it"):
                await n1.peers.serve()

    asyncio.run(scene())


def test_a_frozen_host_does_not_answer_though_its_kernel_does(n1: Node) -> None:
    async def scene() -> None:
        with frozen("127.0.0.3") as port:
            peer = Peer(node="n2", addresses=("127.0.0.3",), port=port)
            assert not await PeerCaller(n1.files).answers(peer)

    asyncio.run(scene())


def test_silent_nodes_are_called_until_they_are_no_more_wanted(n1: Node, n2: Node) -> None:
    async def scene() -> None:
        async with n1.serving():
            n1.peers.call((n2.peer,))
            assert await n1.told(SuspectCalled) == SuspectCalled("n2", False)
            async with n2.serving():
                while not (await n1.told(SuspectCalled)).answers:
                    pass
            while (await n1.told(SuspectCalled)).answers:
                pass
            n1.peers.call(())
            n1.peers.call((replace(n2.peer, node="n3"),))
            assert (await n1.told(SuspectCalled)).node == "n3"

    asyncio.run(scene())


# ---- which addresses reach the master


def test_only_the_addresses_at_which_the_very_node_answers_count(
    n1: Node, n2: Node, authority: Authority, tmp_path: Path
) -> None:
    other = Node(tmp_path, authority, "n3", "127.0.0.4")
    other.port = n2.port
    other.peers = Peers(
        AgentConfig(
            node="n3",
            tls=TlsConfig(ca=other.files.ca, certificate=other.files.certificate, key=other.files.key),
            peer_listen=f"tcp://127.0.0.4:{n2.port}",
        ),
        other.core,
        lambda _: None,
        enough_memory,
    )
    peer = replace(n2.peer, addresses=("127.0.0.9", "127.0.0.4", "127.0.0.3"))

    async def scene() -> None:
        async with n2.serving(), other.serving():
            assert await PeerCaller(n1.files).reached(peer) == ("127.0.0.3",)

    asyncio.run(scene())


def test_a_master_whose_agent_is_a_moment_late_is_reached(n1: Node, n2: Node) -> None:
    async def scene() -> None:
        reaching = asyncio.create_task(PeerCaller(n1.files).reached(n2.peer))
        await asyncio.sleep(0)
        assert not reaching.done()
        async with n2.serving():
            assert await reaching == ("127.0.0.3",)

    asyncio.run(scene())


def test_a_master_that_never_answers_is_not_reached(n1: Node) -> None:
    async def scene() -> None:
        with frozen("127.0.0.3") as port:
            assert await PeerCaller(n1.files).reached(Peer(node="n2", addresses=("127.0.0.3",), port=port)) == ()

    asyncio.run(scene())


# ---- checks before a start


def checked(node: Node, assignment: Assignment, wanted: JobSpec) -> "asyncio.Task[None]":
    node.takes(1, wanted, assignment)
    return asyncio.create_task(node.peers.check(assignment, wanted))


def test_fit_nodes_with_the_same_code_say_so(n1: Node, n2: Node, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    wanted = spec(tmp_path)

    async def scene() -> None:
        async with n1.serving(), n2.serving():
            first, second = part(n1, 0), part(n1, 1)
            # The master's agent hears of the world last.
            late = checked(n2, second, wanted)
            await asyncio.sleep(0)
            await checked(n1, first, wanted)
            await late
            fit = NodeCheck(round=GANG.at(1), reached=("127.0.0.2",))
            assert await n1.told(Checked) == Checked(first, fit)
            assert await n2.told(Checked) == Checked(second, fit)

    asyncio.run(scene())


@pytest.mark.parametrize("allow", [False, True])
def test_a_script_that_differs_is_told_unless_that_is_allowed(n1: Node, n2: Node, tmp_path: Path, allow: bool) -> None:
    script = tmp_path / "train.py"
    script.write_text("old")
    wanted = spec(tmp_path, allow_mismatch=allow)

    async def scene() -> None:
        async with n1.serving(), n2.serving():
            await checked(n1, part(n1, 0), wanted)
            script.write_text("new")  # as if each node had a disk of its own
            await checked(n2, part(n1, 1), wanted)
            found = (await n2.told(Checked)).check
            said = "" if allow else "train.py differs: sha256 11507a0e here, cba06b57 on n1"
            assert found == NodeCheck(round=GANG.at(1), mismatch=said, reached=("127.0.0.2",))

    asyncio.run(scene())


def test_a_master_that_hears_of_the_world_later_is_asked_again(n1: Node, n2: Node, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()

    async def scene() -> None:
        caller = PeerCaller(n2.files)
        async with n1.serving():
            asking = asyncio.create_task(caller.code(n1.peer, "127.0.0.2", GANG.at(1)))
            for _ in range(3):
                assert await caller.answers(n1.peer)  # by then it has answered that it knows of none
            n1.takes(1, spec(tmp_path), part(n1, 0))
            assert (await asking).script == "train.py"

    asyncio.run(scene())


def test_a_master_that_does_not_say_what_it_has_is_named(n1: Node, n2: Node, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()

    async def scene() -> None:
        async with n1.serving(), n2.serving():  # n1 never hears of the world
            await checked(n2, part(n1, 1), spec(tmp_path))
            said = (await n2.told(Checked)).check.mismatch
            assert said == "what n1 has is not known, for its agent, called at 127.0.0.2, did not say (not_found)"

    asyncio.run(scene())


def test_what_hinders_a_start_is_told_at_once(n1: Node, n2: Node, tmp_path: Path) -> None:
    async def scene() -> None:
        async with n1.serving(), n2.serving():
            for node, other in ((n1, n1), (n2, n1)):
                await checked(node, part(other, 0 if node is n1 else 1), spec(tmp_path))
                assert "cannot read the script" in (await node.told(Checked)).check.problem

    asyncio.run(scene())


def test_a_master_port_that_is_taken_is_told_by_the_master_alone(n1: Node, n2: Node, tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()

    async def scene() -> None:
        with frozen("127.0.0.2") as port:
            async with n1.serving(), n2.serving():
                await checked(n1, part(n1, 0, port), spec(tmp_path))
                await checked(n2, part(n1, 1, port), spec(tmp_path))
                assert (await n1.told(Checked)).check.problem == PORT_TAKEN
                assert (await n2.told(Checked)).check.problem == ""

    asyncio.run(scene())


# ---- without the daemon


def test_a_peer_says_what_it_knows_of_a_gang(n1: Node, n2: Node, tmp_path: Path) -> None:
    async def scene() -> None:
        async with n1.serving(), n2.serving():
            ask = AskPeer(n2.peer, (GANG, GangKey(2, "ps", 1)))
            await n1.peers.ask(ask)
            assert await n1.told(RoundsHeard) == RoundsHeard("n2", "", ())
            n2.takes(1, spec(tmp_path), replace(part(n1, 1), round=GANG.at(4)), stop=3)
            await n1.peers.ask(ask)
            known = KnownRound(gang=GANG, newest=4, stopped=3)
            assert await n1.told(RoundsHeard) == RoundsHeard("n2", "A", (known,))
            await n1.peers.ask(replace(ask, peer=replace(n2.peer, node="n3")))
            n1.peers.call((n2.peer,))
            await n1.told(SuspectCalled)  # and nothing before it: who did not prove its name said nothing

    asyncio.run(scene())
