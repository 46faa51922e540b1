"""Mutual TLS between real daemons and agents over TCP on loopback: who is let in as whom, and what others are told."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest

from dlroverd.model.view import LogChunk, NodeView
from dlroverd.protocol import channel
from dlroverd.protocol.channel import DAEMON_NAME, TlsFiles, connect
from dlroverd.protocol.errors import CallError, Reason, from_rpc
from dlroverd.protocol.v1 import agent_service_pb2 as agent_pb
from dlroverd.protocol.v1 import common_pb2
from dlroverd.protocol.v1 import control_service_pb2 as control_pb
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from dlroverd.testing.certificates import Authority
from tests.system import fleet
from tests.system.daemon_process import DEADLINE_S, DaemonProcess, spec, until
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving
from tests.system.test_daemon_refusals import refused

DAY = timedelta(days=1)


class Site:
    """An authority, a daemon's certificate and address, and the agents that call there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authority = Authority(root / "tls")
        self.tls = self.authority.issue(DAEMON_NAME, hosts=["127.0.0.1"])
        self.address = f"tcp://127.0.0.1:{free_port()}"

    @asynccontextmanager
    async def daemon(self, tls: TlsFiles | None = None) -> AsyncIterator[DaemonProcess]:
        """Serve agents over TCP, and people on a unix socket."""
        async with serving(self.root / "daemon", *self.options(tls or self.tls)) as daemon:
            yield daemon

    def options(self, tls: TlsFiles | None) -> tuple[str, ...]:
        """Give a daemon's words for serving over TCP with these files."""
        file = self.root / "daemon.yaml"
        file.write_text(json.dumps({"tls": _section(tls)} if tls else {}))
        return "--config", str(file), "--listen", self.address

    @asynccontextmanager
    async def agent(self, node: str, tls: TlsFiles | None) -> AsyncIterator["AgentProcess"]:
        """Run an agent of that node with these files."""
        settings = {
            "node": node,
            "daemon": [self.address],
            "state_dir": str(self.root / f"state of {node}"),
            "run_dir": str(self.root / f"run of {node}"),
            "slots": 2,
            "peer_listen": "none",
            **({"tls": _section(tls)} if tls else {}),
        }
        file = self.root / f"{node}.yaml"
        file.write_text(json.dumps(settings))
        agent = AgentProcess(
            await asyncio.create_subprocess_exec(
                sys.executable, "-m", "dlroverd_agent.main", "--config", str(file), stderr=subprocess.PIPE
            )
        )
        try:
            yield agent
        finally:
            await agent.end()


class AgentProcess:
    """An agent, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def says(self, sentence: str) -> None:
        """Read until a line has the sentence in it."""
        assert self._process.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            async for line in self._process.stderr:
                self.lines.append(line.decode())
                if sentence in self.lines[-1]:
                    return
        raise AssertionError(f"the agent ended and never said {sentence!r}, but {self.lines}")

    async def refused(self, code: int) -> str:
        """Wait for its end with this exit code; give the one line that it said."""
        async with asyncio.timeout(DEADLINE_S):
            _, said = await self._process.communicate()
        assert self._process.returncode == code, said
        (line,) = said.decode().splitlines()
        return line

    async def end(self) -> None:
        """Have it end, if it has not."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE_S):
                await self._process.communicate()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _section(tls: TlsFiles) -> dict[str, str]:
    return {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}


async def until_nodes(daemon: DaemonProcess, met: Callable[[list[NodeView]], bool]) -> None:
    """Wait for the nodes to be as wanted: their list can only be asked for."""
    with daemon.client() as client:
        await asyncio.to_thread(fleet.until, client.nodes, met)


def test_a_job_runs_on_two_nodes_that_are_known_by_their_certificates(site: Site) -> None:
    async def test() -> None:
        one, two = (site.authority.issue(node) for node in ("n1", "n2"))
        async with site.daemon() as daemon, site.agent("n1", one), site.agent("n2", two):
            await until_nodes(daemon, lambda views: [view.state for view in views] == ["ready", "ready"])
            with daemon.client() as client:
                plain = spec(ranks=2, nodes=2)
                role = replace(plain.roles[0], argv=("/bin/sh", "-c", "echo rank $RANK"))
                job = await asyncio.to_thread(client.submit, replace(plain, roles=(role,)))
                await until(client, job, lambda view: view.state == "succeeded")
                pieces = await asyncio.to_thread(lambda: list(client.logs(job)))
        assert {(piece.node, piece.data) for piece in pieces if isinstance(piece, LogChunk) and piece.data} == {
            ("n1", b"rank 0\n"),
            ("n2", b"rank 1\n"),
        }

    run(test())


Files = Callable[[Site], TlsFiles]


def foreign(site: Site) -> TlsFiles:
    return Authority(site.root / "elsewhere", "another authority").issue("n1")


def foreign_certificate(site: Site) -> TlsFiles:
    return replace(foreign(site), ca=site.tls.ca)


def expired(site: Site) -> TlsFiles:
    return site.authority.issue("n1", not_before=datetime.now(UTC) - 3 * DAY, not_after=datetime.now(UTC) - DAY)


def not_yet_valid(site: Site) -> TlsFiles:
    return site.authority.issue("n1", not_before=datetime.now(UTC) + DAY, not_after=datetime.now(UTC) + 3 * DAY)


def another_name(site: Site) -> TlsFiles:
    return site.authority.issue("n2")


def no_key(site: Site) -> TlsFiles:
    return replace(site.authority.issue("n1"), key=str(site.root / "none.key"))


def open_key(site: Site) -> TlsFiles:
    tls = site.authority.issue("n1")
    os.chmod(tls.key, 0o640)
    return tls


def another_key(site: Site) -> TlsFiles:
    return replace(site.authority.issue("n1"), key=site.tls.key)


def no_certificate(site: Site) -> TlsFiles:
    return replace(site.authority.issue("n1"), certificate=site.tls.key)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (foreign_certificate, "n1.pem was not issued by the authority in"),
        (another_name, "n2.pem names n2, and must name `n1`: have it issued for that DNS name."),
        (no_key, "none.key cannot be read: No such file or directory. Put the file there for this user (uid "),
        (open_key, "n1.key can be read or changed by others (mode 0640): run `chmod 600 "),
        (another_key, "dlroverd.key is not the key of the certificate "),
        (no_certificate, "dlroverd.key holds no certificate in PEM form"),
    ],
)
def test_an_agent_refuses_files_of_its_own_that_cannot_work(site: Site, files: Files, sentence: str) -> None:
    async def test() -> None:
        tls = files(site)
        async with site.agent("n1", tls) as agent:
            line = await agent.refused(1)
        assert line.startswith("dlroverd-agent: ")
        assert sentence in line

    run(test())


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (foreign, "its certificate is not of the authority in"),
        (expired, "UTC, and by this host's clock that is over: renew it, or set the clock"),
        (not_yet_valid, "UTC, and by this host's clock that is yet to come: renew it, or set the clock"),
    ],
)
def test_an_agent_that_is_not_let_in_says_why_and_tries_again(site: Site, files: Files, sentence: str) -> None:
    async def test() -> None:
        tls = files(site)
        async with site.daemon() as daemon, site.agent("n1", tls) as agent:
            await agent.says(sentence)
            # Files are read at each call: the right ones need no restart.
            good = site.authority.issue("n1")
            for path, wanted in ((good.ca, tls.ca), (good.certificate, tls.certificate), (good.key, tls.key)):
                if path != wanted:
                    shutil.copy(path, wanted)
            await agent.says("connected")
            await until_nodes(daemon, lambda views: [view.id for view in views] == ["n1"])
        assert sum(sentence in line for line in agent.lines) == 1

    run(test())


def daemon_that_expired(site: Site) -> TlsFiles:
    return site.authority.issue(DAEMON_NAME, not_before=datetime.now(UTC) - 3 * DAY, not_after=datetime.now(UTC) - DAY)


def daemon_to_come(site: Site) -> TlsFiles:
    return site.authority.issue(DAEMON_NAME, not_before=datetime.now(UTC) + DAY, not_after=datetime.now(UTC) + 2 * DAY)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (daemon_that_expired, "its certificate has expired by this host's clock"),
        (daemon_to_come, "its certificate is not yet valid by this host's clock"),
    ],
)
def test_a_daemon_out_of_its_dates_serves_its_host_and_both_sides_say_it(
    site: Site, files: Files, sentence: str
) -> None:
    async def test() -> None:
        async with site.daemon(files(site)) as daemon, site.agent("n1", site.authority.issue("n1")) as agent:
            await agent.says(sentence)
            with daemon.client() as client:
                assert client.nodes() == []
        assert "agents will not trust this daemon: " in daemon.said()

    run(test())


def test_a_node_cannot_pass_for_the_daemon(site: Site) -> None:
    """A server with a node's certificate, as an attacker with root on a node would run it."""

    async def test() -> None:
        server = channel.new_server()
        channel.listen(server, site.address, site.authority.issue("n2", hosts=["127.0.0.1"]))
        await server.start()
        async with site.agent("n1", site.authority.issue("n1")) as agent:
            await agent.says("its certificate does not name `dlroverd`")
        await server.stop(None)

    run(test())


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (another_name, "n2.pem names n2, and must name `dlroverd`"),
        (lambda site: replace(site.tls, ca=foreign(site).ca), "was not issued by the authority in"),
        (lambda site: replace(site.tls, key=no_key(site).key), "none.key cannot be read"),
        (lambda site: replace(site.tls, key=open_key(site).key), "can be read or changed by others (mode 0640)"),
    ],
)
def test_a_daemon_refuses_files_of_its_own_that_cannot_work(site: Site, files: Files, sentence: str) -> None:
    async def test() -> None:
        assert sentence in await refused(DaemonProcess(site.root / "daemon", *site.options(files(site))))

    run(test())


def test_nobody_serves_or_calls_over_tcp_without_tls(site: Site) -> None:
    async def test() -> None:
        said = await refused(DaemonProcess(site.root / "daemon", *site.options(None)))
        assert f"listen has {site.address}, and TCP needs mutual TLS: set tls:" in said
        async with site.agent("n1", None) as agent:
            said = await agent.refused(2)
        assert f"daemon has {site.address}, and TCP needs mutual TLS: set tls:" in said

    run(test())


def test_a_port_that_another_daemon_has_is_named_and_not_shared(site: Site) -> None:
    async def test() -> None:
        _, port = channel.host_port(site.address)
        async with site.daemon():
            said = await refused(DaemonProcess(site.root / "second", *site.options(site.tls)))
        assert f"{site.address}: cannot listen there: another program has port {port}; stop it (`ss -ltnp" in said

    run(test())


async def info(wire: grpc.aio.Channel) -> grpc.StatusCode:
    """Ask a daemon, as people do, and give what it fails of."""
    async with wire:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await ControlServiceStub(wire).GetInfo(control_pb.GetInfoRequest(), timeout=DEADLINE_S)
        return failed.value.code()


def test_a_certificate_gives_no_control_and_without_one_there_is_nothing(site: Site) -> None:
    async def test() -> None:
        tls = site.authority.issue("n1")
        host, port = channel.host_port(site.address)
        authority = grpc.ssl_channel_credentials(await asyncio.to_thread(Path(tls.ca).read_bytes))
        named = (("grpc.ssl_target_name_override", DAEMON_NAME),)
        async with site.daemon():
            codes = [
                await info(channel.connect(site.address, tls, DAEMON_NAME)),
                await info(channel.connect(site.address, foreign_certificate(site), DAEMON_NAME)),
                await info(grpc.aio.secure_channel(f"{host}:{port}", authority, options=named)),
                await info(grpc.aio.insecure_channel(f"{host}:{port}")),
            ]
        assert codes == [grpc.StatusCode.PERMISSION_DENIED, *3 * [grpc.StatusCode.UNAVAILABLE]]

    run(test())


async def refusal(agent: ScriptedAgent, address: str) -> CallError:
    """Have an agent dial, and give why its session ended."""
    failures: list[grpc.aio.AioRpcError] = []
    try:
        await agent.session(address)
    except* grpc.aio.AioRpcError as ended:
        failures += (error for error in ended.exceptions if isinstance(error, grpc.aio.AioRpcError))
    return from_rpc(failures[0], address)


def test_the_certificate_says_which_node_it_is(site: Site) -> None:
    async def test() -> None:
        liar = ScriptedAgent("n1", 4, idle)
        liar.tls = site.authority.issue("n2")
        async with site.daemon() as daemon:
            told = await refusal(liar, site.address)
            with daemon.client() as client:
                assert client.nodes() == []
        assert told.reason is Reason.REFUSED
        assert told.sentence == (
            "The agent calls itself node n1 and its certificate names n2: set `node: n2` in its configuration, "
            "or give it the certificate of n1."
        )

    run(test())


def test_a_node_cannot_give_out_its_output_as_another_s(site: Site) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 4, idle)
        agent.tls = site.authority.issue("n1")
        async with site.daemon() as daemon, connected(agent, site.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=1))
                await until(client, job, lambda view: view.state == "running")
                agent.node = "n2"  # what the pieces of its output say from here on
                (key,) = agent.ranks
                agent.outputs[key] = b"not n2's"
                pieces = await asyncio.to_thread(lambda: list(client.logs(job)))
        assert not [piece for piece in pieces if isinstance(piece, LogChunk) and piece.data]

    run(test())


def test_a_node_cannot_say_events_as_another(site: Site) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 4, idle)
        agent.tls = site.authority.issue("n1")
        event = agent_pb.SpooledEvent(sequence=1, name="user.x", kind="EVENT_KIND_INSTANT", severity="SEVERITY_INFO")
        batch = agent_pb.EventBatch(node="n2", spool="s", boot_id="b", events=[event])
        async with site.daemon(), connected(agent, site.address), connect(site.address, agent.tls, DAEMON_NAME) as wire:
            call = AgentServiceStub(wire).PushEvents()
            await call.write(batch)
            with pytest.raises(grpc.aio.AioRpcError, match="calls itself node n2 and its certificate names n1"):
                await call.read()

    run(test())


def test_a_node_cannot_give_out_stacks_as_another_s(site: Site) -> None:
    async def test() -> None:
        tls = site.authority.issue("n1")
        rank = common_pb2.RankStack(node="n2", key=common_pb2.RankKey(job=1, role="trainer", round=1))
        async with site.daemon(), connect(site.address, tls, DAEMON_NAME) as wire:
            with pytest.raises(grpc.aio.AioRpcError, match="calls itself node n2 and its certificate names n1"):
                await AgentServiceStub(wire).PushStacks(agent_pb.Stacks(id="x", ranks=[rank]))

    run(test())


@asynccontextmanager
async def opened(agent: ScriptedAgent, address: str) -> AsyncIterator["asyncio.Task[CallError]"]:
    """Open an agent's session; gives how it ends."""
    session = asyncio.create_task(refusal(agent, address))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await agent.until(agent.welcomed.is_set)
        yield session
    finally:
        session.cancel()


def twin(agent: ScriptedAgent, instance: str) -> ScriptedAgent:
    """Make another agent of the same node."""
    other = ScriptedAgent(agent.node, 4, idle)
    other.tls, other.instance = agent.tls, instance
    return other


def test_an_agent_that_dials_again_takes_the_place_of_its_own_session(site: Site) -> None:
    async def test() -> None:
        first = ScriptedAgent("n1", 4, idle)
        first.tls, first.instance = site.authority.issue("n1"), "one"
        async with (
            site.daemon(),
            opened(first, site.address) as old,
            connected(twin(first, "one"), site.address),
        ):
            told = await old
        assert "took the place of this one" in told.sentence

    run(test())


def test_a_second_agent_of_a_node_is_refused_while_the_first_speaks_and_follows_it_when_not(site: Site) -> None:
    async def test() -> None:
        first = ScriptedAgent("n1", 4, idle)
        first.tls, first.instance = site.authority.issue("n1"), "one"
        async with site.daemon(), opened(first, site.address) as old:
            told = await refusal(twin(first, "two"), site.address)
            assert told.reason is Reason.DUPLICATE_NODE
            assert "Another agent is connected as node n1 from 127.0.0.1: stop one of them" in told.sentence
            first.beats = False  # as on a host that was reset
            async with connected(twin(first, "two"), site.address):  # dials until it is let in
                assert "took the place of this one" in (await old).sentence

    run(test())
