"""Floods and forgeries by strangers and by ranks: honest calls are answered meanwhile, and honest jobs go on.

The others are where what they attack is tested:
no certificate, a foreign one, another node's name  test_tls.py
tokens that expired, were spent, or are another's  test_join.py
a host that was shut out, on what it has open      test_join.py
a replayed request                                 unit/core/test_submit.py, test_join.py (a host that asks twice)
another's job, a viewer that submits               test_roles.py, test_login.py, unit/api/test_permissions.py
another user's files, memory and sockets           fleet/test_isolation.py
links and FIFOs where files should be              unit/agent: test_logs.py, test_evidence.py, test_event_reader.py
the same where a socket should be                  checkpoint/test_attending.py (others are in folders of the agent's)
a sealed arena                                     checkpoint/test_vault.py
messages too long, cut short, or nonsense          test_daemon_refusals.py, properties/test_decoders.py (atheris too)
"""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dlroverd.protocol.channel import DAEMON_NAME
from dlroverd.testing.certificates import Authority
from tests.system.fleet import SCRIPTS, Fleet, gang
from tests.system.test_tls import free_port

STEPS = str(SCRIPTS / "steps.py")
CONNECTIONS = 1000
# The beginnings of a TLS handshake and of an HTTP/2 frame of 16 MiB, and something else.
SAID = (
    b"",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\x00",
    b"GET / HTTP/1.0\r\n",
)


@pytest.fixture
def open_files() -> Iterator[None]:
    """Have as many open files as a daemon of ours has by its unit."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, before[1]), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def port() -> int:
    """Give a port for agents."""
    return free_port()


@pytest.fixture
def here(tmp_path: Path, port: int, open_files: None) -> Iterator[Fleet]:  # noqa: ARG001 - before the daemon starts
    """Make a fleet of one node whose daemon listens on TCP too."""
    tls = Authority(tmp_path / "tls").issue(DAEMON_NAME, hosts=["127.0.0.1"])
    section = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
    made = Fleet(tmp_path, daemon={"tls": section}, listen=(f"tcp://127.0.0.1:{port}",), agent={"log_limit": "16MiB"})
    made.start(1, 4)
    yield made
    made.close()


def step_of(here: Fleet, job: int) -> int:
    view = here.client.job(job)
    return max(int(gang(view).step), 0)


def honest(here: Fleet, bystander: int, pid: int) -> None:
    """See that a job is taken and run, and that another one did not notice anything."""
    assert here.until_over(here.submit(STEPS, "--steps", "1")).state == "succeeded"
    view = here.client.job(bystander)
    assert ([rank.pid for rank in gang(view).ranks], view.restarts) == ([pid], 0)


def test_a_thousand_half_open_connections(here: Fleet, port: int) -> None:
    bystander = here.submit(STEPS)
    (rank,) = gang(here.until_stepping(bystander)).ranks
    daemon = here.daemon.process
    assert daemon is not None
    unix = here.address.removeprefix("unix://")
    with contextlib.ExitStack() as held:
        for number in range(CONNECTIONS):
            where: str | tuple[str, int] = unix if number % 2 else ("127.0.0.1", port)
            end = held.enter_context(socket.socket(socket.AF_UNIX if number % 2 else socket.AF_INET))
            end.settimeout(10)
            with contextlib.suppress(ConnectionError):  # it hung up, as it may
                end.connect(where)
                end.sendall(SAID[number // 2 % len(SAID)])
        for _ in range(50):
            with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port), 10) as end:
                end.sendall(os.urandom(1 << 16))
        honest(here, bystander, rank.pid)
    honest(here, bystander, rank.pid)
    assert daemon.poll() is None
    assert here.client.nodes()[0].state == "ready"


def test_a_rank_that_floods_and_forges_all_that_is_its_own(here: Fleet, tmp_path: Path) -> None:
    bystander = here.submit(STEPS)
    (rank,) = gang(here.until_stepping(bystander)).ranks
    agent = here.agents["n1"].process
    assert agent is not None
    job_file = tmp_path / "hostile.yaml"
    job_file.write_text(
        f"script: {SCRIPTS / 'hostile.py'}\nnproc_per_node: 2\nmax_restarts: 0\ncheckpoint_memory: 1MiB\n"
    )
    hostile = here.submit("-f", str(job_file))
    honest(here, bystander, rank.pid)
    over = here.until_over(hostile)
    assert (over.state, "exited with 7" in over.reason or "exit code 7" in over.reason) == ("failed", True), over.reason
    here.ctl("logs", str(hostile))
    honest(here, bystander, rank.pid)
    assert agent.poll() is None
    assert here.client.nodes()[0].state == "ready"
