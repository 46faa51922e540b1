"""From a bare host to a node and out again: real daemons, agents and TLS; who shows what, and what each is told."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from dlroverd.client import Client
from dlroverd.model.trust import CertificateKind
from dlroverd.model.view import LogChunk
from dlroverd.protocol import channel
from dlroverd.protocol.channel import TlsFiles
from dlroverd.protocol.errors import CallError
from dlroverd.protocol.v1 import agent_service_pb2, control_service_pb2, trust_service_pb2
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from dlroverd.protocol.v1.trust_service_pb2_grpc import JoinServiceStub
from dlroverd.protocol.vouching import Vouched, vouch
from dlroverd.trust import joining
from dlroverd.trust.authority import Authority
from dlroverd.trust.join_token import Token
from dlroverd.trust.renewal import Term, term_of
from dlroverd.trust.requests import key_at, make_request, replace_file
from tests.system import fleet
from tests.system.daemon_process import DEADLINE_S, DaemonProcess, spec, until
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import idle, run, serving
from tests.system.test_tls import AgentProcess, free_port, info, opened, refusal, until_nodes

NODES = ("n1", "n2", "n3")
RENEWALS = 3


class Site:
    """A daemon that issues certificates, and hosts that join it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = _files(root / "tls")
        self.authority = Authority.create(Path(self.files.ca), root / "tls" / "ca.key")
        self.authority.certify_daemon(self.files, ["127.0.0.1"])
        self.address, self.entrance = (f"tcp://127.0.0.1:{free_port()}" for _ in range(2))

    def start(self, **trust: str) -> DaemonProcess:
        """Make a daemon that serves people, agents, and hosts that join."""
        file = self.root / "daemon.yaml"
        tls = {**_section(self.files), "ca_key": str(self.root / "tls" / "ca.key")}
        file.write_text(json.dumps({"tls": tls, "join_listen": self.entrance, "trust": trust}))
        return DaemonProcess(self.root / "daemon", "--config", str(file), "--listen", self.address)

    @asynccontextmanager
    async def daemon(self, **trust: str) -> AsyncIterator[DaemonProcess]:
        """Run it."""
        options = self.start(**trust)._command[-4:]
        async with serving(self.root / "daemon", *options) as daemon:
            yield daemon

    def join(self, token: Token, node: str, at: str = "") -> TlsFiles:
        """Join as a host does; gives its files."""
        files = _files(self.root / node)
        got = joining.join(at or self.entrance, token, node, Path(files.key))
        assert got.daemon == (self.address,)
        replace_file(Path(files.ca), got.ca, mode=0o644)
        replace_file(Path(files.certificate), got.certificate, mode=0o644)
        return files

    @asynccontextmanager
    async def agent(self, node: str, tls: TlsFiles) -> AsyncIterator[AgentProcess]:
        """Run an agent with these files."""
        settings = {
            "node": node,
            "daemon": [self.address],
            "join": self.entrance,
            "tls": _section(tls),
            "state_dir": str(self.root / f"state of {node}"),
            "run_dir": str(self.root / f"run of {node}"),
            "slots": 2,
            "peer_listen": "none",
        }
        file = self.root / f"{node}.yaml"
        file.write_text(json.dumps(settings))
        words = (sys.executable, "-m", "dlroverd_agent.main", "--config", str(file))
        agent = AgentProcess(await asyncio.create_subprocess_exec(*words, stderr=subprocess.PIPE))
        try:
            yield agent
        finally:
            await agent.end()


def _files(folder: Path) -> TlsFiles:
    return TlsFiles(ca=str(folder / "ca.pem"), certificate=str(folder / "own.pem"), key=str(folder / "own.key"))


def _section(tls: TlsFiles) -> dict[str, str]:
    return {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def asked(call: Callable[..., Any], *words: Any) -> str:
    """Make a call that is refused; gives what it says."""
    with pytest.raises(CallError) as told:
        await asyncio.to_thread(call, *words)
    return told.value.sentence


async def until_term(files: TlsFiles, met: Callable[[Term], bool]) -> Term:
    """Wait until the certificate in a file is as wanted: time passes, or its agent renews it."""
    return await asyncio.to_thread(fleet.until, lambda: term_of(files.certificate), met)


def ticks(client: Client, node: str) -> list[int]:
    """Give what the log has of the events of a node's rank."""
    return [int(json.loads(view.body)["number"]) for view in client.events(names=["user.tick"], node=node)]


async def told(client: Client, job: int) -> int:
    """Give the number that a job's one rank wrote at its end."""
    chunks = await asyncio.to_thread(lambda: list(client.logs(job)))
    return int(b"".join(chunk.data for chunk in chunks if isinstance(chunk, LogChunk)))


def after(old: Term) -> Callable[[Term], bool]:
    """Tell a term that ends later."""
    return lambda term: term.ends_at > old.ends_at


def test_hosts_join_by_a_token_and_each_that_may_not_is_told_why(site: Site) -> None:
    async def test() -> None:
        elsewhere = Authority.create(site.root / "other.pem", site.root / "other.key")
        async with site.daemon() as daemon:
            with daemon.client() as client:
                token = await asyncio.to_thread(client.create_token, 2, 60.0)
                brief = await asyncio.to_thread(client.create_token, 1, 0.001)
                ended = await asyncio.to_thread(client.create_token, 1, 60.0)
                await asyncio.to_thread(client.revoke_token, ended.id)
                # Pasted with a line break; and asked for twice by the same host, at one use.
                pasted = Token.parse(f"{token.text[:40]}\n {token.text[40:]}\n")
                files = await asyncio.to_thread(site.join, pasted, "n1")
                await asyncio.to_thread(site.join, token, "n1")
                async with site.agent("n1", files) as agent:
                    await agent.says("connected")
                    await until_nodes(daemon, lambda views: [view.state for view in views] == ["ready"])
                    os.rename(files.key, site.root / "kept.key")  # another host, which says that it is n1
                    assert "Node n1 is connected, or has only just stopped: if that is another host" in await asked(
                        site.join, token, "n1"
                    )
                    os.rename(site.root / "kept.key", files.key)
                await asyncio.to_thread(site.join, token, "n2")
                told = [
                    await asked(site.join, each, name)
                    for each, name in (
                        (token, "n3"),
                        (brief, "n3"),
                        (ended, "n3"),
                        (replace(token, secret="0" * 32), "n3"),
                        (Token.make(elsewhere.fingerprint), "n3"),
                        (token, "dlroverd"),
                    )
                ]
                views = {view.id: view for view in client.tokens()}
        for sentence, wanted in zip(
            told,
            (
                "This token was good for 2 hosts, and all have joined: have another made by `dlroverctl token create`",
                "This token expired just now: have another made",
                "This token was revoked by ",
                "This daemon knows no such token",
                f"The token is for another fleet: its authority is {elsewhere.fingerprint[:32]}, and the one at",
                "'dlroverd' cannot be a host's name here: `dlroverd` is the daemon's own name",
            ),
            strict=True,
        ):
            assert sentence.startswith(wanted)
        assert (views[token.id].state, views[token.id].joined) == ("used up", ("n1", "n2"))
        assert [views[each.id].state for each in (brief, ended)] == ["expired", "revoked"]
        for path in daemon.state_dir.rglob("*"):
            if path.is_file():
                assert token.secret.encode() not in path.read_bytes(), f"a token's secret is in {path}"
        assert token.secret not in daemon.said()

    run(test())


def test_where_hosts_join_nothing_else_is_served_and_only_holders_renew(site: Site) -> None:
    async def test() -> None:
        async with site.daemon():
            host, port = channel.host_port(site.entrance)
            authority = grpc.ssl_channel_credentials(site.authority.pem)
            named = (("grpc.ssl_target_name_override", channel.DAEMON_NAME),)

            def wire() -> grpc.aio.Channel:
                return grpc.aio.secure_channel(f"{host}:{port}", authority, options=named)

            async def renewal(certificate: bytes, request: bytes) -> str | None:
                wanted = trust_service_pb2.RenewRequest(certificate=certificate.decode(), request=request.decode())
                async with wire() as entrance:
                    with pytest.raises(grpc.aio.AioRpcError) as told:
                        await JoinServiceStub(entrance).Renew(wanted, timeout=DEADLINE_S)
                return told.value.details()

            assert await info(wire()) is grpc.StatusCode.UNIMPLEMENTED
            async with wire() as entrance:
                assert await AgentServiceStub(entrance).Session().code() is grpc.StatusCode.UNIMPLEMENTED
            the_daemon_s = await asyncio.to_thread(Path(site.files.certificate).read_bytes)
            other = Authority.create(site.root / "other.pem", site.root / "other.key")
            mine, theirs = (make_request(key_at(site.root / f"{name}.key"), "n1") for name in ("mine", "theirs"))
            assert [
                await renewal(b"", mine),
                await renewal(other.issue(mine, "n1"), mine),
                await renewal(site.authority.issue(theirs, "n1"), mine),
                await renewal(the_daemon_s, make_request(key_at(Path(site.files.key)), "n1")),
            ] == [
                "The request holds no certificate; send the one to renew.",
                "The certificate is not of this fleet's authority: let the host join with a token.",
                "The request is not for the key of the certificate that it renews.",
                "The daemon renews its own certificate itself.",
            ]

    run(test())


def test_who_is_shut_out_is_out_at_once_and_after_a_restart_and_comes_back_by_a_new_token(site: Site) -> None:
    async def test() -> None:
        daemon = site.start()
        await daemon.start()
        with daemon.client() as client:
            token = await asyncio.to_thread(client.create_token, 9, 60.0)
            files = await asyncio.to_thread(site.join, token, "n1")
            async with site.agent("n1", files) as agent:
                await agent.says("connected")
                await until_nodes(daemon, lambda views: [view.state for view in views] == ["ready"])
                await asyncio.to_thread(client.revoke_certificates, "n1", "it was stolen")
                await agent.says("(it was stolen): to have this host in the fleet, let it join with a new token")
                await until_nodes(daemon, lambda views: [view.state for view in views] == ["unreachable"])
                (note,) = client.nodes()[0].notes
                assert note.endswith("(it was stolen); it may join again by a new token")
            await daemon.stop()
            await daemon.start()
            shut_out = ScriptedAgent("n1", 2, idle)
            shut_out.tls = files
            assert (await refusal(shut_out, site.address)).sentence.startswith(
                "The certificates of n1 were revoked by "
            )
            assert (await asked(lambda: joining.renew(site.address, files, "n1", lapsed=False))).startswith(
                "The certificates of n1 were"
            )
            assert (await asked(site.join, token, "n1")).startswith("n1 was shut out by ")
            again = await asyncio.to_thread(client.create_token, 1, 60.0)
            files = await asyncio.to_thread(site.join, again, "n1")
            async with site.agent("n1", files) as agent:
                await agent.says("connected")
        await daemon.stop()

    run(test())


def test_all_that_a_host_has_open_ends_when_it_is_shut_out(site: Site) -> None:
    """Streams on which nothing is said, too; those of other hosts go on."""

    async def test() -> None:
        said = (vouch(Vouched(uid=1234, name="ann", gids=frozenset({1234}))),)
        async with site.daemon() as daemon, AsyncExitStack() as held:
            client = held.enter_context(daemon.client())
            node, other = ScriptedAgent("n1", 2, idle), ScriptedAgent("n2", 2, idle)
            token = await asyncio.to_thread(client.create_token, 2, 60.0)
            at_login = await asyncio.to_thread(client.create_token, 1, 60.0, CertificateKind.LOGIN)
            for agent in (node, other):
                agent.tls = await asyncio.to_thread(site.join, token, agent.node)
            login = await asyncio.to_thread(site.join, at_login, "login1")
            session = await held.enter_async_context(opened(node, site.address))
            await held.enter_async_context(opened(other, site.address))
            stubs = [
                AgentServiceStub(
                    await held.enter_async_context(channel.connect(site.address, tls, channel.DAEMON_NAME))
                )
                for tls in (node.tls, other.tls)
            ]
            events, others = [stub.PushEvents() for stub in stubs]
            for call, agent in ((events, node), (others, other)):
                await call.write(batch(agent.node, 1))
                await call.read()
            output = stubs[0].PushLogs()
            users = ControlServiceStub(
                await held.enter_async_context(channel.connect(site.address, login, channel.DAEMON_NAME))
            )
            job = await asyncio.to_thread(client.submit, spec(ranks=1))
            watch = users.WatchJob(control_service_pb2.WatchJobRequest(job=job), metadata=said)
            await asyncio.to_thread(client.revoke_certificates, "n1", "it was stolen")
            ends = [(await session).sentence, await events.details(), await output.details()]
            assert [str(end).split(" by ")[0] for end in ends] == 3 * ["The certificates of n1 were revoked"]
            await asyncio.to_thread(client.revoke_certificates, "login1")
            with pytest.raises(grpc.aio.AioRpcError, match="The certificates of login1 were revoked by "):
                async for _ in watch:
                    pass
            await others.write(batch("n2", 2))
            reply = await others.read()
            assert isinstance(reply, agent_service_pb2.EventsTaken)
            assert reply.sequence == 2
            assert [view.state for view in client.nodes() if view.id == "n2"] == ["ready"]

    run(test())


def batch(node: str, sequence: int) -> agent_service_pb2.EventBatch:
    """Make an event of a node's."""
    event = agent_service_pb2.SpooledEvent(
        sequence=sequence, name="user.x", kind="EVENT_KIND_INSTANT", severity="SEVERITY_INFO"
    )
    return agent_service_pb2.EventBatch(node=node, spool="s", boot_id=f"boot-{node}", events=[event])


def test_a_certificate_of_a_login_host_makes_no_node(site: Site) -> None:
    async def test() -> None:
        async with site.daemon() as daemon:
            with daemon.client() as client:
                token = await asyncio.to_thread(client.create_token, 1, 60.0, CertificateKind.LOGIN)
                login = ScriptedAgent("login1", 2, idle)
                login.tls = await asyncio.to_thread(site.join, token, "login1")
                told = await refusal(login, site.address)
                assert told.sentence.startswith("login1 is a login host and no node")
                assert client.nodes() == []

    run(test())


def test_certificates_renew_themselves_under_load_and_no_stream_ends(site: Site) -> None:
    """Of three hosts three times over, and of the daemon, while ranks say events all the time."""

    async def test() -> None:
        done = site.root / "done"
        site.authority.recertify_daemon(site.files, 3.0)
        first = term_of(site.files.certificate)
        async with site.daemon(certificate_life="3s") as daemon, AsyncExitStack() as running:
            client = running.enter_context(daemon.client())
            token = await asyncio.to_thread(client.create_token, len(NODES), 60.0)
            agents = []
            for node in NODES:
                files = await asyncio.to_thread(site.join, token, node)
                agents.append(await running.enter_async_context(site.agent(node, files)))
            async with asyncio.TaskGroup() as starts:
                for agent in agents:
                    starts.create_task(agent.says("connected"))
            words = (sys.executable, str(fleet.SCRIPTS / "events.py"), "0", "0.01", str(done))
            plain = spec(ranks=1)
            jobs = {}
            for node in NODES:
                role = replace(plain.roles[0], argv=words, nodelist=(node,))
                jobs[node] = await asyncio.to_thread(client.submit, replace(plain, name=node, roles=(role,)))
                await until(client, jobs[node], lambda view: view.state == "running")
            for agent in agents:
                for _ in range(RENEWALS):
                    await agent.says("the certificate is renewed")
            assert time.time() > first.ends_at
            assert term_of(site.files.certificate).ends_at > first.ends_at
            done.touch()
            for node, job in jobs.items():
                over = await until(client, job, lambda view: view.state == "succeeded")
                last = await told(client, job)
                await asyncio.to_thread(fleet.until, partial(ticks, client, node), lambda seen: seen[-1:] == [last])  # noqa: B023 - called before the next turn
                assert (over.restarts, ticks(client, node)) == (0, list(range(1, last + 1)))
            said = [agent.lines for agent in agents]
            assert [sum("connected" in line for line in lines) for lines in said] == [1, 1, 1]
            assert not [line for lines in said for line in lines if "not let in" in line or "events are kept" in line]
            moved = client.events(names=["node_moved"])
            assert sorted(str(event.node) for event in moved) == list(NODES)

    run(test())


def test_a_certificate_that_ended_while_the_daemon_was_away_is_renewed_when_it_is_back(site: Site) -> None:
    async def test() -> None:
        daemon = site.start(certificate_life="3s")
        await daemon.start()
        with daemon.client() as client:
            token = await asyncio.to_thread(client.create_token, 1, 60.0)
        files = await asyncio.to_thread(site.join, token, "n1")
        async with site.agent("n1", files) as agent:
            await agent.says("connected")
            await daemon.stop()
            await agent.says("could not be renewed (")
            await until_term(files, lambda term: term.is_over)
            await daemon.start()
            await until_term(files, lambda term: not term.is_over)
            await agent.says("connected")
        await daemon.stop()
        # Beyond its grace it is not renewed, and its host has to join again.
        strict = site.start(certificate_life="3s", renewal_grace="0s")
        await until_term(files, lambda term: term.is_over)
        await strict.start()
        told = await asked(lambda: joining.renew(site.entrance, files, "n1", lapsed=True))
        assert "let the host join with a new token" in told
        await strict.stop()

    run(test())
