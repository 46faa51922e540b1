"""What was made to differ by hand is found by the next survey or audit, mended, and told as an event."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.launchers.process import ProcessLauncher

from dlroverd.model.ids import RankKey
from dlroverd.model.job import RankState
from dlroverd.model.world import Desired, RankObservation
from tests.system.daemon_process import DaemonProcess, spec, until
from tests.system.fleet import SCRIPTS, Fleet, gang, pids, until_ended
from tests.system.fleet import until as until_seen
from tests.system.scripted_agent import ScriptedAgent
from tests.system.test_daemon import connected, idle, run, serving

STEPS = str(SCRIPTS / "steps.py")
OFTEN = "500ms"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fleet]:
    """One node whose agent looks around often, and a daemon that hardly audits."""
    made = Fleet(tmp_path, agent={"survey_interval": OFTEN, "launcher": "process"})
    made.start(1, 4)
    yield made
    made.close()


def differences(here: Fleet) -> list[dict[str, Any]]:
    """Give all differences that are events, oldest first."""
    return [json.loads(event.body)["difference"] for event in here.client.events(names=["difference_seen"])]


def found(here: Fleet, count: int = 1) -> list[tuple[str, str, str]]:
    """Wait for so many differences; their kinds, what they are and what is done about them."""
    seen = until_seen(lambda: differences(here), lambda all_: len(all_) >= count)
    assert len(seen) == count
    return [(each["kind"], each["what"], each["mended"]) for each in seen]


@contextmanager
def planted(here: Fleet, key: RankKey) -> Iterator["subprocess.Popen[bytes]"]:
    """Run what looks like a process of a rank of this agent's, of which it knows nothing."""
    directory = here.root / "n1" / "ranks" / key.unit
    sleeping = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with subprocess.Popen(sleeping, env={"DLROVERD_RANK_DIR": str(directory)}) as process:
        try:
            yield process
        finally:
            process.kill()


def test_nothing_is_found_where_all_is_well(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "2", STEPS)
    before = pids(here.until_stepping(job))
    here.ctl("job", "restart", str(job))
    here.until_stepping(job, round_=2)
    with planted(here, RankKey(99, "trainer", 0, 1, 0)):  # so much is surely surveyed twice
        assert [kind for kind, *_ in found(here)] == ["stray"]
    assert gang(here.client.job(job)).round == 2
    assert pids(here.client.job(job)) != before


def test_a_rank_whose_end_nobody_tells_of_counts_as_ended_and_not_as_done(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "1", STEPS)
    (pid,) = pids(here.until_stepping(job))
    shim = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    key = RankKey(job, "trainer", 0, 1, 0)
    assert found(here) == [
        ("vanished", f"{key} was recorded as running, and no process of it is there", "it counts as ended, not as done")
    ]
    until_ended(shim)
    assert pids(here.until_stepping(job, round_=2)) != [pid]
    shown = here.ctl("node", "show", "n1").stdout
    assert "vanished" in shown
    assert "it counts as ended, not as done" in shown


def test_a_process_of_a_round_that_is_over_is_ended_and_one_of_an_unknown_job_is_listed(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "1", STEPS)
    here.until_stepping(job)
    here.ctl("job", "restart", str(job))
    running = pids(here.until_stepping(job, round_=2))
    stale, unknown = RankKey(job, "trainer", 0, 1, 3), RankKey(99, "trainer", 0, 1, 0)
    with planted(here, stale) as process:
        assert process.wait(60) == -signal.SIGKILL
        assert found(here) == [("stray", f"{stale} runs and is not recorded, and its round is over", "it is killed")]
    with planted(here, unknown) as process:
        assert found(here, 2)[1] == ("stray", f"{unknown} runs and is not recorded", "")
        here.until_nodes(lambda views: views[0].orphans == (str(unknown),))
        assert process.poll() is None
    here.until_nodes(lambda views: views[0].orphans == ())
    assert pids(here.client.job(job)) == running


def test_a_check_of_the_state_has_hosts_look_at_once(tmp_path: Path) -> None:
    here = Fleet(tmp_path, agent={"survey_interval": "1h", "launcher": "process"})
    here.start(1, 1)
    try:
        assert "no differences" in here.ctl("state", "check").stderr
        with planted(here, RankKey(99, "trainer", 0, 1, 0)):
            seen = json.loads(here.ctl("state", "check", "-o", "json", code=1).stdout)["differences"]
            assert [(each["where"], each["kind"]) for each in seen if not each["mended"]] == [("node n1", "orphan")]
            assert [each["kind"] for each in seen] == ["orphan", "stray"]
        here.ctl("state", "check")
        frozen = here.agents["n1"].process
        assert frozen is not None
        os.kill(frozen.pid, signal.SIGSTOP)
        seen = json.loads(here.ctl("state", "check", "-o", "json", code=1).stdout)["differences"]
        os.kill(frozen.pid, signal.SIGCONT)
        assert {each["kind"] for each in seen if not each["mended"]} <= {"unreachable", "not surveyed"}
        assert [each for each in seen if not each["mended"]]
    finally:
        here.close()


def test_what_is_left_of_a_rank_that_counts_as_gone_is_killed(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "2", STEPS)
    here.until_stepping(job)
    ranks = gang(here.client.job(job)).ranks
    with planted(here, RankKey(job, "trainer", 0, 1, 1)) as process:
        os.kill(ranks[0].pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
    ((kind, _, mended),) = found(here)
    # Which of the two depends on whether the agent was told meanwhile that it may forget the rank.
    assert (kind, mended) in [("left_over", "they are killed"), ("stray", "it is killed")]
    assert pids(here.until_stepping(job, round_=2))


def test_a_file_that_was_tampered_with_is_written_again(here: Fleet) -> None:
    job = here.submit("--nproc-per-node", "1", STEPS)
    before = pids(here.until_stepping(job))
    file = here.root / "n1" / "followed.json"
    content = file.read_bytes()
    file.write_bytes(b"{}")
    assert found(here) == [("file_changed", f"{file} was changed by someone else", "it is written again")]
    until_seen(file.read_bytes, lambda found: found == content)
    here.agents["n1"].stop(signal.SIGKILL)
    here.agents["n1"].start()
    here.until_nodes(lambda views: views[0].state == "ready")
    assert pids(here.client.job(job)) == before


def test_a_rank_that_hides_what_it_is_known_by_is_still_there(tmp_path: Path) -> None:
    """As programs do that write their title over their environment; each way to look would find the other one only."""

    async def test() -> None:
        states: asyncio.Queue[RankObservation] = asyncio.Queue()
        launcher = ProcessLauncher(tmp_path, states.put_nowait)
        hidden, forking = (RankKey(1, "trainer", 0, 1, rank) for rank in (0, 1))
        script = {hidden: "exec env -i sleep 3600", forking: "sleep 3600 & wait"}
        for key, line in script.items():
            argv, uid, gid = ("/bin/sh", "-c", line), os.geteuid(), os.getegid()
            await launcher.start(LaunchOrder(key=key, argv=argv, cwd="/", env={"PATH": "/bin"}, uid=uid, gid=gid))
        pids_: dict[RankKey, int] = {}
        while len(pids_) < len(script):
            if (seen := await states.get()).state is RankState.RUNNING:
                pids_[seen.key] = seen.pid
        environ = Path(f"/proc/{pids_[hidden]}/environ")
        await asyncio.to_thread(until_seen, environ.read_bytes, lambda content: not content)
        assert await launcher.survey() == {hidden, forking}
        for key in script:
            await launcher.stop(key, 0.0, 0.0)
        while pids_:
            if (seen := await states.get()).state is RankState.GONE:
                del pids_[seen.key]
        assert await launcher.survey() == frozenset()
        await launcher.close()

    run(test())


class DeafAgent(ScriptedAgent):
    """Speaks and, while it is `deaf`, loses all that it is told on its last way."""

    deaf = False

    def _apply(self, desired: Desired) -> None:
        if not self.deaf:
            super()._apply(desired)


class ForgetfulAgent(ScriptedAgent):
    """Lost a rank and says so when it is asked, by an audit; it starts nothing a second time."""

    def _apply(self, desired: Desired) -> None:
        if desired.audit:
            self._report()
        else:
            super()._apply(desired)


def bodies(daemon: DaemonProcess) -> list[dict[str, Any]]:
    with daemon.client() as client:
        return [json.loads(event.body)["difference"] for event in client.events(names=["difference_seen"])]


def test_an_agent_that_takes_nothing_it_is_told_is_made_to_say_hello_again(tmp_path: Path) -> None:
    async def test() -> None:
        agent = DeafAgent("n1", 4, idle)
        async with serving(tmp_path) as daemon, connected(agent, daemon.address):
            agent.deaf = True
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=1))
                while not (seen := await asyncio.to_thread(bodies, daemon)):
                    await agent.until(lambda: True)
                    await asyncio.sleep(0.05)
                agent.deaf = False
                await until(client, job, lambda view: view.state == "running")
            assert seen[0]["kind"] == "behind"
            assert seen[0]["mended"] == "its session is ended, so that it says hello again"

    run(test())


def test_a_rank_that_its_agent_lost_without_a_word_is_found_by_the_audit(tmp_path: Path) -> None:
    async def test() -> None:
        config = tmp_path / "daemon.yaml"
        config.write_text(json.dumps({"limits": {"audit_interval": OFTEN}}))
        agent = ForgetfulAgent("n1", 4, idle)
        async with serving(tmp_path / "d", "--config", str(config)) as daemon, connected(agent, daemon.address):
            with daemon.client() as client:
                job = await asyncio.to_thread(client.submit, spec(ranks=1))
                await until(client, job, lambda view: view.state == "running")
                (lost,) = agent.ranks
                del agent.ranks[lost]
                await until(client, job, lambda view: view.restarts == 1)
            assert [(each["kind"], each["what"]) for each in await asyncio.to_thread(bodies, daemon)] == [
                ("not_listed", f"{lost} should run there, and the agent does not list it")
            ]

    run(test())
