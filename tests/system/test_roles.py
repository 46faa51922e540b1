"""Who calls on the daemon's socket, and what they may: real processes of real users, told apart by the kernel."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from dlroverd.client import Client
from dlroverd.protocol.channel import connect, connect_blocking
from dlroverd.protocol.errors import Reason, from_rpc
from dlroverd.protocol.identity import proof
from dlroverd.protocol.v1 import control_service_pb2
from dlroverd.protocol.v1.agent_service_pb2_grpc import AgentServiceStub
from dlroverd.protocol.v1.control_service_pb2_grpc import ControlServiceStub
from tests.system.daemon_process import DEADLINE_S, DaemonProcess
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving
from tests.system.test_reload import reloaded

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")

# Nobody's but ours: such ids need no line in /etc/passwd, and a user without one is known by its number.
ANN, BOB, EVE = 987001, 987002, 987003
SCRIPT = Path(__file__).parent / "scripts" / "as_user.py"


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder that every user may enter, as systemd makes the daemon's."""
    with tempfile.TemporaryDirectory(prefix="roles-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - others are to enter it
        yield Path(folder)


@asynccontextmanager
async def open_to_all(root: Path, **roles: Any) -> AsyncIterator[DaemonProcess]:
    (root / "run").mkdir(mode=0o755, exist_ok=True)
    file = root / "dlroverd.yaml"
    file.write_text(json.dumps({"roles": roles}))
    async with serving(root, "--config", str(file)) as daemon:
        yield daemon


async def asked(daemon: DaemonProcess, uid: int, *words: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), str(uid), str(uid), daemon.address, *words), stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(DEADLINE_S):
        said, _ = await process.communicate()
    return [json.loads(line) for line in said.splitlines()]


def test_users_act_on_their_own_jobs_and_the_log_has_their_proven_names(root: Path) -> None:
    async def test() -> None:
        roles = {"viewer": [str(EVE)], "operator": [str(BOB)]}
        async with open_to_all(root, **roles) as daemon, connected(ScriptedAgent("n1", 8, idle), daemon.address):
            (first, as_root) = await asked(daemon, ANN, "submit", "submit-as-root")
            job = first["answer"]
            assert as_root["reason"] == "forbidden"
            assert as_root["sentence"].endswith(f"and {ANN} (uid {ANN}) submits it: a job runs as its submitter.")
            # A viewer sees, and neither submits nor reads what is another's.
            seen, events, *refused = await asked(
                daemon, EVE, "jobs", "events", "submit", f"cancel:{job}", f"spec:{job}", f"logs:{job}", "hold"
            )
            assert seen["answer"] == [job]
            assert "what ann alone knows" not in events["answer"]
            assert [each["reason"] for each in refused] == 5 * ["forbidden"]
            assert refused[0]["sentence"].startswith(f"{EVE} is a viewer, and this needs the role user: ask one who")
            # Another user cannot end it; an operator can, and so could its owner.
            with Client(daemon.address) as client:
                told = client.job(job, with_spec=True).spec
                assert told is not None
                other = await asyncio.to_thread(client.submit, told)
            (kept,) = await asked(daemon, ANN + 10, f"cancel:{job}")
            assert kept["sentence"].startswith(f"Job {job} is another user's: {ANN + 10} is a user, and this needs the")
            (own,) = await asked(daemon, ANN, f"cancel:{job}")
            assert own == {"answer": None}
            ended, held = await asked(daemon, BOB, f"cancel:{other}", "hold")
            assert ended == {"answer": None}
            assert "answer" in held
            with Client(daemon.address) as client:
                actors = {each.name: json.loads(each.body)["actor"] for each in client.events(names=["node_held"])}
                assert actors == {"node_held": str(BOB)}
                taken = [json.loads(each.body)["actor"] for each in client.events(names=["request_taken"])]
            assert taken == [str(ANN), str(BOB)]

    run(test())


def test_roles_that_are_read_again_count_from_the_next_call_on(root: Path) -> None:
    """A configuration that cannot be used takes nobody's away, nor gives anybody more."""

    async def test() -> None:
        file = root / "dlroverd.yaml"
        roles = {"user": [str(ANN)], "others": "nobody"}
        async with open_to_all(root, others="viewer") as daemon:
            await reloaded(daemon, file, {"roles": {"usr": [str(ANN)]}}, "roles.usr: unknown key; did you mean user?")
            (viewer,) = await asked(daemon, ANN, "submit")
            assert viewer["sentence"].startswith(f"{ANN} is a viewer, and this needs the role user: ")
            # This daemon is root's and serves others: jobs of root are for an administrator to allow.
            (root_s,) = await asked(daemon, 0, "submit-as-root")
            assert root_s["sentence"].startswith("Jobs of root are not taken: a rank that is root owns its node.")
            await reloaded(daemon, file, {"roles": roles, "allow_root": True}, "was read again")
            (submitted,), (nobody,) = await asked(daemon, ANN, "submit"), await asked(daemon, BOB, "jobs")
            assert "answer" in submitted
            assert nobody["sentence"].startswith(f"{BOB} has no role here: ")
            assert "answer" in (await asked(daemon, 0, "submit-as-root"))[0]

    run(test())


def test_who_shows_no_identity_is_let_in_to_nothing(root: Path) -> None:
    async def test() -> None:
        async with open_to_all(root) as daemon:
            with connect_blocking(daemon.address) as wire:
                stub: Any = ControlServiceStub(wire)  # type: ignore[arg-type] # its stubs know aio channels only
                with pytest.raises(grpc.RpcError) as refused:
                    stub.GetInfo(control_service_pb2.GetInfoRequest(), timeout=DEADLINE_S)
                told = from_rpc(refused.value, daemon.address)
                assert told.reason is Reason.FORBIDDEN
                assert told.sentence.startswith("The call does not say who makes it: use a dlroverctl or")
                shown = proof(daemon.address)
                assert stub.GetInfo(control_service_pb2.GetInfoRequest(), metadata=shown, timeout=DEADLINE_S).version
            async with connect(daemon.address) as channel:
                call = AgentServiceStub(channel).Session()
                assert await call.code() is grpc.StatusCode.PERMISSION_DENIED

    run(test())


def test_a_client_lives_on_when_its_daemon_is_restarted(root: Path) -> None:
    async def test() -> None:
        async with open_to_all(root) as daemon:
            with Client(daemon.address, timeout_s=DEADLINE_S) as client:
                assert client.jobs() == []
                await daemon.stop()
                assert list(daemon.socket.parent.iterdir()) == []
                await daemon.start()
                assert await asyncio.to_thread(client.jobs) == []

    run(test())
