"""A login host: its users call the fleet's daemon as themselves, by a service whose certificate vouches for them."""

import asyncio
import json
import os
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from dlroverd.client import Client
from dlroverd.model.trust import CertificateKind
from dlroverd.protocol.channel import DAEMON_NAME, TlsFiles, connect
from dlroverd.protocol.errors import CallError, Reason
from dlroverd.protocol.v1 import control_service_pb2
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from dlroverd.protocol.vouching import Vouched, vouch
from dlroverd.trust.authority import Authority
from dlroverd.trust.requests import key_at, make_request
from tests.system.daemon_process import DEADLINE_S, DaemonProcess
from tests.system.fleet import Program, until
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving
from tests.system.test_roles import ANN, BOB

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

BRIEF_S = 3
SCRIPT = Path(__file__).parent / "scripts" / "as_user.py"


class Site:
    """A daemon with an authority, and what a login host has of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "login.log"
        self.authority = Authority.create(root / "ca.pem", root / "ca.key")
        self.files("daemon", None)
        self.authority.certify_daemon(self.files("daemon", None), ["127.0.0.1"])
        # Not of the kernel's ephemeral ones: who dials such a port while nobody listens there may be given it itself.
        self.address = f"tcp://127.0.0.1:{random.randrange(20000, 30000)}"
        self.login = f"unix://{root}/login/d.sock"
        (root / "login").mkdir(mode=0o755)

    def files(self, name: str, kind: CertificateKind | None, life_s: float = 3600.0) -> TlsFiles:
        """Name the files of a certificate, which is issued if it is of a kind."""
        certificate, key = self.root / f"{name}.pem", self.root / f"{name}.key"
        if kind is not None:
            request = make_request(key_at(key), name)
            certificate.write_bytes(self.authority.issue(request, name, kind=kind, life_s=life_s))
        return TlsFiles(ca=str(self.root / "ca.pem"), certificate=str(certificate), key=str(key))

    @asynccontextmanager
    async def daemon(self, **roles: Any) -> AsyncIterator[DaemonProcess]:
        """Serve over TCP, and on a unix socket."""
        file = self.root / "dlroverd.yaml"
        tls = {**_section(self.files("daemon", None)), "ca_key": str(self.root / "ca.key")}
        trust = {"certificate_life": f"{BRIEF_S}s"}
        file.write_text(json.dumps({"tls": tls, "roles": roles, "join_listen": "none", "trust": trust}))
        async with serving(self.root / "daemon", "--config", str(file), "--listen", self.address) as daemon:
            yield daemon

    @asynccontextmanager
    async def service(self, life_s: float = 3600.0) -> AsyncIterator[None]:
        """Run the login host's service; its first certificate is good for so long."""
        config = {
            "daemon": self.address,
            "listen": self.login,
            "tls": _section(self.files("login1", CertificateKind.LOGIN, life_s)),
        }
        file = self.root / "login.yaml"
        file.write_text(json.dumps(config))
        program = Program("dlroverd.login.main", self.log, "--config", str(file))
        await asyncio.to_thread(program.start)
        try:
            yield
        finally:
            await asyncio.to_thread(program.stop)

    async def asked(self, uid: int, *words: str) -> list[dict[str, Any]]:
        """Call on the login host as a user."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(SCRIPT), str(uid), str(uid), self.login, *words), stdout=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(DEADLINE_S):
            said, _ = await process.communicate()
        return [json.loads(line) for line in said.splitlines()]


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="login-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - others are to enter it
        yield Site(Path(folder))


def test_users_of_a_login_host_are_themselves_and_no_more_than_users(site: Site) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 8, idle)
        async with site.daemon(operator=[str(BOB)]) as daemon, site.service(), connected(agent, daemon.address):
            submitted, as_root, watched = await site.asked(ANN, "submit", "submit-as-root", "watch:1")
            job = submitted["answer"]
            assert as_root["reason"] == "forbidden"
            assert watched == {"answer": job}
            with Client(daemon.address) as client:
                told = await asyncio.to_thread(client.job, job, with_spec=True)
            assert told.spec is not None
            assert (told.spec.user.uid, told.spec.user.name) == (ANN, str(ANN))
            # On the daemon's own host bob is an operator. Whoever is root on the login host could say it was bob.
            cancelled, held = await site.asked(BOB, f"cancel:{job}", "hold")
            assert [cancelled["reason"], held["reason"]] == ["forbidden", "forbidden"]
            (root,) = await site.asked(0, "jobs")
            assert root["reason"] == "forbidden"
            assert root["sentence"].startswith("Root of the login host login1 is nobody to the fleet")
            (own,) = await site.asked(ANN, f"cancel:{job}")
            assert own == {"answer": None}

    run(test())


def test_the_daemon_is_away_and_back(site: Site) -> None:
    async def test() -> None:
        async with site.daemon() as daemon, site.service():
            await daemon.stop()
            with Client(site.login, timeout_s=BRIEF_S) as client, pytest.raises(CallError) as away:
                await asyncio.to_thread(client.jobs)
            assert away.value.reason is Reason.UNAVAILABLE
            assert f"The fleet's daemon at {site.address} does not answer this login host" in away.value.sentence
            await daemon.start()
            assert await site.asked(ANN, "jobs") == [{"answer": []}]

    run(test())


def test_the_hosts_certificate_is_renewed_and_what_its_users_follow_goes_on(site: Site) -> None:
    async def test() -> None:
        agent = ScriptedAgent("n1", 8, idle)
        async with site.daemon() as daemon, connected(agent, daemon.address), site.service(BRIEF_S):
            (submitted,) = await site.asked(ANN, "submit")
            job = submitted["answer"]
            following = asyncio.create_task(site.asked(ANN, f"follow:{job}"))
            await asyncio.to_thread(until, lambda: site.log.read_text().count("the certificate is renewed"), (3).__le__)
            assert not following.done()
            assert [each["answer"] for each in await site.asked(ANN, "jobs", f"cancel:{job}")] == [[job], None]
            assert await following == [{"answer": "cancelled"}]

    run(test())


def test_a_nodes_certificate_vouches_for_nobody_and_a_login_hosts_must_say_for_whom(site: Site) -> None:
    async def test() -> None:
        said = (vouch(Vouched(uid=ANN, name="ann", gids=frozenset({ANN}))),)
        async with site.daemon():
            async with connect(site.address, site.files("n1", CertificateKind.NODE), DAEMON_NAME) as channel:
                call = ControlServiceStub(channel).GetInfo(control_service_pb2.GetInfoRequest(), metadata=said)
                assert await call.code() is grpc.StatusCode.PERMISSION_DENIED
                assert "n1 is a node, which has no users" in str(await call.details())
            async with connect(site.address, site.files("login1", CertificateKind.LOGIN), DAEMON_NAME) as channel:
                call = ControlServiceStub(channel).GetInfo(control_service_pb2.GetInfoRequest(), metadata=said)
                assert (await call).version
                for bad in ((), (("dlroverd-vouched", "e30="),), (("dlroverd-vouched", "?"),)):
                    call = ControlServiceStub(channel).GetInfo(control_service_pb2.GetInfoRequest(), metadata=bad)
                    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT

    run(test())


def _section(tls: TlsFiles) -> dict[str, str]:
    return {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
