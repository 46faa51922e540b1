"""The agent's vaults as plain processes: found again, counted, ended; without agent, daemon and torch."""

import asyncio
import os
import pwd
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from dlroverd_agent.events.flow import EventFlow
from dlroverd_agent.launchers.leftovers import MARKER
from dlroverd_agent.vaults.attendant import Attendant
from dlroverd_agent.vaults.host import ProcessVaults
from dlroverd_agent.vaults.vaults import Vaults
from dlroverd_train.vault import client

from dlroverd.config.agent import AgentConfig
from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec, Resources, RoleSpec, User
from dlroverd.model.world import Assignment, Held, JobDescriptor
from tests.system.fleet import until, until_ended

ME = pwd.getpwuid(os.geteuid())
SPEC = JobSpec(
    name="digits",
    user=User(uid=ME.pw_uid, gid=ME.pw_gid, name=ME.pw_name),
    roles=(RoleSpec(argv=("/bin/true",), cwd="/", nproc_per_node=2),),
    checkpoint_memory_bytes=16 << 20,
)
LIMIT_S = 30.0
PETABYTE = 1 << 50


def part(job: int) -> Assignment:
    return Assignment(
        round=RoundKey(job, "trainer", 0, 1),
        world_size=2,
        group_rank=0,
        group_world_size=1,
        first_rank=0,
        nproc=2,
        master_addr="127.0.0.1",
        master_port=20000,
        restart_count=0,
    )


def held(*jobs: int) -> Held:
    return Held(assignments=tuple(map(part, jobs)), jobs=tuple(JobDescriptor(job=job, spec=SPEC) for job in jobs))


class Bench:
    """One state directory, on which agents come and go. `said` is what they had to say."""

    def __init__(self, root: Path) -> None:
        self._config = AgentConfig(node="n1", state_dir=str(root / "state"), run_dir=str(root / "run"))
        self.said: list[str] = []
        self.folder = Path()

    @asynccontextmanager
    async def agent(self, *jobs: int) -> AsyncIterator[Vaults]:
        events = EventFlow(self._config)
        self.folder = events.folder / "vaults"
        vaults = Vaults("n1", self.folder, ProcessVaults(self.folder), lambda: held(*jobs), events)
        await vaults.recover(frozenset(jobs))
        try:
            yield vaults
        finally:
            await vaults.close()

    def running(self, folder: str = "") -> list[int]:
        """Give the pids of the vaults that run, or of the one with that folder, by looking for their mark."""
        mark = f"{MARKER}={folder or f'{self.folder}/'}".encode()
        found = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (each / "environ").read_bytes().startswith(mark):
                    found.append(int(each.name))
            except OSError:
                continue
        return sorted(found)

    def pid(self, job: int) -> int:
        """Give the pid of a job's vault."""
        (found,) = self.running(f"{self.folder}/{job}\0")
        return found

    async def until_empty(self) -> None:
        """Wait until no vault is left, and nothing of one."""
        await asyncio.to_thread(until, lambda: [*self.running(), *self.folder.iterdir()], lambda left: not left)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def run(work: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(LIMIT_S):
            await work

    asyncio.run(limited())


def test_one_vault_for_all_ranks_that_outlives_agents_and_ends_with_its_job(bench: Bench) -> None:
    async def scene() -> None:
        async with bench.agent(1) as vaults:
            sockets = await asyncio.gather(*(vaults.socket(1, SPEC) for _ in range(2)))
            (pid,) = bench.running()
            assert sockets == [str(bench.folder / "1" / "socket")] * 2
            assert await vaults.socket(2, replace(SPEC, checkpoint_memory_bytes=0)) == ""
        async with bench.agent(1) as vaults:
            assert await vaults.socket(1, SPEC) == sockets[0]
            assert bench.running() == [pid]
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())


def test_a_vault_of_a_job_that_left_while_no_agent_was_there_is_ended(bench: Bench) -> None:
    async def scene() -> None:
        async with bench.agent(1, 2) as vaults:
            for job in (1, 2):
                await vaults.socket(job, SPEC)
            first = bench.pid(1)
        (bench.folder / "2.json").unlink()  # nobody knows any more what it is
        async with bench.agent(1):
            await asyncio.to_thread(until, bench.running, lambda running: running == [first])
        async with bench.agent():
            await bench.until_empty()

    run(scene())


def test_a_vault_that_is_killed_is_told_of_and_started_again_for_the_next_ranks(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    async def scene() -> None:
        async with bench.agent(1) as vaults:
            where = await vaults.socket(1, SPEC)
            (pid,) = bench.running()
            os.kill(pid, signal.SIGKILL)
            await asyncio.to_thread(until_ended, pid)
            assert await vaults.socket(1, SPEC) == where
            (new,) = bench.running()
            assert new != pid
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())
    said = capfd.readouterr().out
    assert "the checkpoint memory of job 1 on n1 is lost: its vault has ended (signal 9)" in said


def test_what_does_not_fit_is_refused_with_the_sum_and_ranks_do_without(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    huge = replace(SPEC, checkpoint_memory_bytes=PETABYTE)

    async def scene() -> None:
        async with bench.agent(1, 2) as vaults:
            await vaults.socket(1, SPEC)
            assert await vaults.shortage(part(2), SPEC) == ""
            short = await vaults.shortage(part(2), huge)
            assert short.startswith("checkpoint_memory of 1048576 GiB does not fit on n1: ")
            assert " are available, 16 MiB of them set aside for job 1; ask for at most " in short
            limited = replace(SPEC.roles[0], resources=Resources(memory_bytes=PETABYTE))
            short = await vaults.shortage(part(2), replace(SPEC, roles=(limited,)))
            assert "1048576 GiB the limit of its ranks; ask for other nodes, or wait for what runs there" in short
            assert await vaults.socket(2, huge) == ""
            assert await vaults.shortage(part(1), SPEC) == ""  # what was not set aside does not count
            assert len(bench.running()) == 1
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())
    assert "job 2 has no checkpoint memory on n1: checkpoint_memory of 1048576 GiB does not" in capfd.readouterr().out


def test_its_memory_is_brought_in_and_counts_as_available_to_vaults(bench: Bench) -> None:
    """Nor does memory count twice that a vault has set aside and brought in."""
    from dlroverd_agent.vaults import budget  # noqa: PLC0415 - of this test alone

    async def scene() -> None:
        async with bench.agent(1) as vaults:
            await vaults.socket(1, SPEC)
            (pid,) = bench.running()
            await asyncio.to_thread(until, lambda: budget._shared(pid), lambda size: size >= 16 << 20)
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())


def test_a_socket_may_have_a_long_name(tmp_path: Path) -> None:
    bench = Bench(tmp_path / ("x" * 80))

    async def scene() -> None:
        async with bench.agent(1) as vaults:
            path = await vaults.socket(1, SPEC)
            assert len(path) > 107
            rank = await asyncio.to_thread(client.Vault, path, "s", 0, 0, {})
            assert [rank.pid] == bench.running()
            rank.close()
            assert (await Attendant(path).call({"op": "idle", "within": 5.0}))["idle"]
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())


def test_a_vault_that_persists_is_not_ended_and_one_whose_job_is_back_stays(bench: Bench) -> None:
    async def scene() -> None:
        async with bench.agent(1) as vaults:
            where = await vaults.socket(1, SPEC)
            assert (await Attendant(where).call({"op": "idle", "within": 0.0}))["idle"]
            vaults.keep(frozenset())
            assert await vaults.socket(1, SPEC) == where  # back before it was ended, or started anew
            assert len(bench.running()) == 1
            vaults.keep(frozenset())
            await bench.until_empty()

    run(scene())


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root starts vaults of other users")


@as_root
def test_a_vault_is_its_jobs_users_and_nobody_elses() -> None:
    nobody = pwd.getpwnam("nobody")
    spec = replace(SPEC, user=User(uid=nobody.pw_uid, gid=nobody.pw_gid, name="nobody"))

    async def scene(bench: Bench) -> None:
        async with bench.agent(1) as vaults:
            where = await vaults.socket(1, spec)
            (pid,) = bench.running()
            assert set(psutil.Process(pid).uids()) == {nobody.pw_uid}
            assert set(psutil.Process(pid).gids()) == {nobody.pw_gid}
            folder = os.stat(os.path.dirname(where))
            assert (folder.st_uid, folder.st_mode & 0o077) == (nobody.pw_uid, 0)
            vaults.keep(frozenset())
            await bench.until_empty()

    # Not pytest's folder, which only its user may enter.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o711)  # noqa: S103 - as /run is
        run(scene(Bench(Path(folder))))
