"""Run within a host by test_launcher.py: the systemd launcher with the host's real systemd."""

import asyncio
import grp
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dlroverd_agent.launchers.choice import make_launcher
from dlroverd_agent.launchers.control_group import ControlGroup, systemd_tree
from dlroverd_agent.launchers.files import boot_id
from dlroverd_agent.launchers.interface import LauncherUnavailableError
from dlroverd_agent.launchers.process import ProcessLauncher
from dlroverd_agent.launchers.unit import UnitNames

from dlroverd.config.agent import AgentConfig
from dlroverd.model.fault import REBOOTED
from dlroverd.model.job import RankState, Resources
from tests.system.launcher_contract import LauncherBench, LauncherContract
from tests.system.launching import (
    AWAITS_GO,
    IGNORES_TERM,
    KEY,
    LIMIT_S,
    SLEEP,
    Seen,
    carriers,
    forking,
    order,
    printed,
    python,
)
from tests.system.lease_contract import LeaseContract

NAMES = UnitNames("test")
UNIT = NAMES.rank(KEY)
# All that an argument or a variable can hold. What is not UTF-8 never gets here: the wire has only text.
ODD = "".join(map(chr, [*range(1, 128), 0xE9, 0x20AC, 0x1F600])) + "'; $HOME ${HOME} %n \\x41 \\"
LEAVES_MEMORY = """
import ctypes, multiprocessing.shared_memory as m, time
m.SharedMemory(create=True, size=4096)
for name in ("psm_used", "torch_1_2_3", "nccl-x", "data.bin"):
    open(f"/dev/shm/{name}", "w").close()
assert ctypes.CDLL(None).shmget(0, 4096, 0o1600) >= 0
print("ready")
time.sleep(3600)
"""
SHOWS = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]))"


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True).stdout


def group(slice_: str, unit: str = "") -> ControlGroup:
    tree = systemd_tree()
    assert tree is not None
    return ControlGroup(tree / NAMES.folder(slice_) / unit)


def ours() -> set[str]:
    """List the units that systemd knows below the fleet's slice."""
    listed = systemctl("list-units", "--all", "--plain", "--no-legend", "dlroverd-test-*")
    return {line.split()[0] for line in listed.splitlines()}


async def until_ours_are(wanted: set[str]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while await asyncio.to_thread(ours) != wanted:  # noqa: ASYNC110 - systemd tells its own subscribers only
            await asyncio.sleep(0.01)


def segments_of_shm() -> list[str]:
    return Path("/proc/sysvipc/shm").read_text().splitlines()[1:]


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def noted(state_dir: Path, words: str) -> None:
    """Wait until the rank's record has these words."""
    await printed(state_dir / "ranks" / KEY.unit / "record.json", words)


def readable(state_dir: Path) -> list[tuple[str, str]]:
    """Give what could be read of a rank: its unit, the journal, systemd's files, ours, all commands."""
    journal = subprocess.run(["journalctl", "-o", "json"], check=True, capture_output=True, text=True).stdout
    places = [*Path("/run/systemd").rglob("*"), *state_dir.rglob("*"), *Path("/proc").glob("[0-9]*/cmdline")]
    files = [(str(place), place.read_text(errors="replace")) for place in places if place.is_file()]
    return [("its unit", systemctl("show", UNIT)), ("the journal", journal), *files]


class SystemdBench(LauncherBench):
    make_source = """
from dlroverd_agent.launchers.systemd import SystemdLauncher
def make(state_dir, on_change): return SystemdLauncher(state_dir, "test", on_change)
"""

    @pytest.fixture(autouse=True)
    def nothing_is_left(self) -> Iterator[None]:
        """After each test systemd knows no unit of ours that a launcher would not let go of."""
        yield
        assert group("dlroverd.slice").empty()
        systemctl("stop", "dlroverd.slice")
        subprocess.run(["systemctl", "reset-failed", "dlroverd-*"], check=False, capture_output=True)


class TestContract(SystemdBench, LauncherContract, LeaseContract):
    """As of any launcher."""


class TestUnits(SystemdBench):
    @pytest.fixture
    def stuck(self, tmp_path: Path) -> Iterator[Callable[[int], None]]:
        """Put processes where KILL does not reach them, until 0 is given: the freezer of cgroup v1 is such a place."""
        mount = tmp_path / "freezer"
        mount.mkdir()
        subprocess.run(["mount", "-t", "cgroup", "-o", "freezer", "freezer", str(mount)], check=True)
        freezer = mount / f"launcher-{os.getpid()}-{os.urandom(4).hex()}"
        freezer.mkdir()

        def put(pid: int) -> None:
            if pid:
                (freezer / "tasks").write_text(str(pid))
            (freezer / "freezer.state").write_text("FROZEN" if pid else "THAWED")

        try:
            yield put
        finally:
            put(0)
            while (freezer / "tasks").read_text():
                time.sleep(0.01)
            freezer.rmdir()
            subprocess.run(["umount", str(mount)], check=True)

    # ---- what a rank gets

    def test_arguments_and_environment_arrive_whole(self, state_dir: Path) -> None:
        env = {"PATH": "/bin", "ODD": ODD, "EMPTY": "", "_.x": "a name no shell takes"}
        argv = (sys.executable, "-c", SHOWS, ODD, "", "-x", "$ODD", "${ODD}", "%i", ";", "a  b")
        _, _, output = asyncio.run(self.run_to_end(state_dir, replace(order(*argv, cwd="/usr/lib"), env=env)))
        arguments, environment, cwd = json.loads(output)
        assert arguments == list(argv[3:])
        assert {name: environment[name] for name in env} == env
        assert environment.keys() - env.keys() <= {"DLROVERD_RANK_DIR", "LC_CTYPE"}  # the latter is Python's own
        assert cwd == "/usr/lib"

    def test_no_value_of_the_job_is_to_be_seen(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                a_rank = python(SLEEP, env={"TOKEN": "canary-env"})
                await launcher.start(replace(a_rank, argv=(*a_rank.argv, "canary-arg"), cwd="/usr/lib"))
                running = await seen.until(RankState.RUNNING)
                assert "RemainAfterExit=yes" in systemctl("show", UNIT)
                for place, text in await asyncio.to_thread(readable, state_dir):
                    if place != f"/proc/{running.pid}/cmdline":  # everyone's command is there, as without us
                        for canary in ("canary-env", "canary-arg", "/usr/lib\n"):
                            assert canary not in text, place

        asyncio.run(run())

    def test_a_rank_of_a_user_with_groups(self, state_dir: Path) -> None:
        subprocess.run(["useradd", "-M", "-G", "audio,video", "trainee"], check=False)
        user = pwd.getpwnam("trainee")
        for folder in (state_dir, *state_dir.parents):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        _, _, output = asyncio.run(
            self.run_to_end(state_dir, replace(order("/usr/bin/id"), uid=user.pw_uid, gid=user.pw_gid))
        )
        assert output.startswith(f"uid={user.pw_uid}(trainee) gid={user.pw_gid}(trainee)")
        for name in ("audio", "video"):
            assert f"{grp.getgrnam(name).gr_gid}({name})" in output

    def test_a_user_unknown_here_is_a_launch_fault(self, state_dir: Path) -> None:
        gone, seen, _ = asyncio.run(self.run_to_end(state_dir, replace(order("/bin/true"), uid=54321, gid=54321)))
        assert gone.exit is not None
        assert "cannot run as uid 54321" in gone.exit.launch_error
        assert RankState.RUNNING not in seen.states()

    def test_limits_and_places_of_a_process(self, state_dir: Path) -> None:
        shows = (
            "import os, resource as r; print(*r.getrlimit(r.RLIMIT_NOFILE)); print(*r.getrlimit(r.RLIMIT_MEMLOCK)); "
            "print(os.sched_getaffinity(0), open('/proc/self/oom_score_adj').read().strip())"
        )
        resources = Resources(cpus="1", oom_score_adjust=123)
        _, _, output = asyncio.run(self.run_to_end(state_dir, replace(python(shows), resources=resources)))
        files, locked, place = output.splitlines()
        for soft, hard in (files.split(), locked.split()):
            assert soft == hard
        assert int(files.split()[0]) > 1024
        assert place == "{1} 123"

    def test_memory_comes_from_the_numa_nodes_that_are_asked_for(self, state_dir: Path) -> None:
        an_order = replace(
            python("print(open('/proc/self/numa_maps').readline().split()[1])"), resources=Resources(numa_nodes="0")
        )
        _, _, output = asyncio.run(self.run_to_end(state_dir, an_order))
        assert output == "bind:0\n"

    def test_cpus_that_are_not_here_are_a_launch_fault(self, state_dir: Path) -> None:
        an_order = replace(order("/bin/true"), resources=Resources(cpus="1000-1003"))
        gone, _, _ = asyncio.run(self.run_to_end(state_dir, an_order))
        assert gone.exit is not None
        assert gone.exit.launch_error == "none of the CPUs in its `cpus` is on this node; correct them"

    @pytest.mark.parametrize("reload", ["", "daemon-reload"])
    def test_only_devices_of_the_order_can_be_opened(self, state_dir: Path, tmp_path: Path, reload: str) -> None:
        """The kernel's log stands for an accelerator: a device that is in nobody's allow-list by itself."""
        device, go = Path("/dev/accelerator"), tmp_path / "go"
        device.unlink(missing_ok=True)
        os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 11))
        os.mkfifo(go)
        opens = AWAITS_GO + f"open({str(device)!r}, 'rb', buffering=0); print('opened')"
        granted: dict[int, tuple[str, ...] | None] = {0: (), 1: (str(device),), 2: None}

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                for rank, nodes in granted.items():
                    key = replace(KEY, rank=rank)
                    await launcher.start(replace(python(opens, key=key, env={"GO": str(go)}), device_nodes=nodes))
                    await seen.until(RankState.RUNNING, key)
                    if reload:
                        systemctl(reload)
                    await asyncio.to_thread(go.write_text, "now")
                    end = await seen.end(key)
                    assert ("opened" in end.output_tail) == (rank != 0), end.output_tail
                    assert ("PermissionError" in end.output_tail) == (rank == 0)

        asyncio.run(run())

    # ---- how it ends

    @pytest.mark.parametrize(
        ("command", "result"), [("exit 0", "success"), ("exit 3", "exit-code"), ("kill -9 $$", "signal")]
    )
    def test_systemds_word_for_the_end_is_told(self, state_dir: Path, command: str, result: str) -> None:
        gone, _, _ = asyncio.run(self.run_to_end(state_dir, order("/bin/sh", "-c", command)))
        assert gone.exit is not None
        assert gone.exit.result == result

    def test_a_unit_that_someone_else_stops_is_told_as_what_it_was(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(forking("daemon") + "time.sleep(3600)"))
                await printed(launcher.files(KEY).output, "ready")
                await asyncio.to_thread(systemctl, "stop", "--no-block", UNIT)
                end = await seen.end()
                assert (end.signal, end.requested, end.lost) == (signal.SIGTERM, False, "")

        asyncio.run(run())

    def test_a_unit_that_is_not_known_any_more_is_a_rank_lost(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [order("/bin/sleep", "3600")]) as told:
                await told("0 running")
            systemctl("stop", UNIT)
            async with self.launched(state_dir) as (_, seen):
                (found,) = seen.found
                assert found.exit is not None
                assert (found.state, found.exit.code, found.exit.signal) == (RankState.GONE, None, None)
                assert found.exit.lost == "systemd knows its unit no more: someone stopped or reset it"

        asyncio.run(run())

    def test_a_rank_of_another_boot_is_lost(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [order("/bin/sleep", "3600")]) as told:
                await told("0 running")
            systemctl("stop", UNIT)
            record = state_dir / "ranks" / KEY.unit / "record.json"
            record.write_text(record.read_text().replace(boot_id(), "another"))
            async with self.launched(state_dir) as (_, seen):
                end = await seen.end()
                assert (end.code, end.signal, end.lost) == (None, None, REBOOTED)

        asyncio.run(run())

    def test_a_stop_is_finished_by_the_next_agent(self, state_dir: Path) -> None:
        async def run() -> None:
            stubborn = [python(IGNORES_TERM)]
            async with self.other_agent(state_dir, stubborn) as told:
                pid = int((await told("0 running"))[2])
                await printed(state_dir / "ranks" / KEY.unit / "output.log", "ready")
            async with self.other_agent(state_dir, stubborn, 0.0, 2.0):
                await noted(state_dir, '"requested": true')
            assert is_alive(pid)
            async with self.launched(state_dir) as (_, seen):
                end = await seen.end()
                assert (end.signal, end.requested) == (signal.SIGKILL, True)

        asyncio.run(run())

    # ---- what happens round it

    @pytest.mark.parametrize("shaken", [["daemon-reload"], ["daemon-reexec"], ["kill", "-s", "KILL", "dbus.service"]])
    @pytest.mark.parametrize("meanwhile", [False, True])
    def test_systemd_is_shaken_under_a_rank(self, state_dir: Path, shaken: list[str], meanwhile: bool) -> None:
        """Its end is learnt all the same, also if it came while nobody could tell of it; others can be started."""

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sh", "-c", "sleep 3600", ODD))
                pid = (await seen.until(RankState.RUNNING)).pid
                shaking = asyncio.create_task(asyncio.to_thread(systemctl, *shaken))
                if not meanwhile:
                    await shaking
                    assert seen.told[-1].state is RankState.RUNNING
                    assert systemctl("show", "-P", "LoadState", UNIT) == "loaded\n"
                os.kill(pid, signal.SIGKILL)
                end = await seen.end()
                assert (end.signal, end.lost, end.result) == (signal.SIGKILL, "", "signal")
                await shaking
                other = replace(KEY, rank=1)
                await launcher.start(order("/bin/true", key=other))
                assert (await seen.end(other)).code == 0

        asyncio.run(run())

    @pytest.mark.parametrize("after_ms", range(0, 80, 10))
    def test_an_agent_killed_while_it_starts_a_rank(self, state_dir: Path, after_ms: int) -> None:
        """The rank runs and is adopted, or never ran and never will: nothing between."""
        code = "import time; print('ran'); time.sleep(3600)"

        async def run() -> None:
            async with self.other_agent(state_dir, [python(code)]) as told:
                await told("0 starting")
                await asyncio.sleep(after_ms / 1000)
            async with self.launched(state_dir) as (launcher, seen):
                output = launcher.files(KEY).output
                if not seen.found:  # killed before it left a mark
                    await launcher.start(python(code))
                if await seen.begun() is RankState.RUNNING:
                    await printed(output, "ran")
                    assert output.read_text() == "ran\n"
                else:
                    assert (await seen.end()).launch_error == "the agent died while starting it"
                    assert not output.exists() or output.read_text() == ""
                    assert carriers(launcher.files(KEY).directory) == []

        asyncio.run(run())

    def test_a_rank_without_a_record_is_ended(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [python(forking("daemon") + "time.sleep(3600)")]) as told:
                pid = int((await told("0 running"))[2])
                await printed(state_dir / "ranks" / KEY.unit / "output.log", "ready")
            await asyncio.to_thread(shutil.rmtree, state_dir)
            async with self.launched(state_dir) as (_, seen):
                assert seen.found == []
                assert not is_alive(pid)
                assert group(NAMES.role(KEY)).empty()
                await until_ours_are(set())

        asyncio.run(run())

    def test_the_launcher_that_fits_is_chosen(self, state_dir: Path) -> None:
        """Systemd's where it runs the host, but never beside ranks that the other one started."""

        async def chosen(launcher: str) -> str:
            made = make_launcher(AgentConfig(launcher=launcher, state_dir=str(state_dir), fleet="test"), Seen())
            await made.close()
            return type(made).__name__

        async def run() -> None:
            assert await chosen("auto") == await chosen("systemd") == "SystemdLauncher"
            assert await chosen("process") == "ProcessLauncher"
            seen = Seen()
            launcher = ProcessLauncher(state_dir, seen)
            await launcher.start(order("/bin/sleep", "3600"))
            await seen.until(RankState.RUNNING)
            await launcher.close()
            assert await chosen("auto") == "ProcessLauncher"
            with pytest.raises(LauncherUnavailableError, match="ranks that the process launcher started run here"):
                await chosen("systemd")
            launcher = ProcessLauncher(state_dir, seen)
            await launcher.recover()
            await launcher.stop(KEY, 0.0, 0.0)
            await seen.end()
            await launcher.close()
            assert await chosen("auto") == "SystemdLauncher"

        asyncio.run(run())

    def test_ranks_of_another_agent_are_left_alone(self, state_dir: Path, tmp_path: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [order("/bin/sleep", "3600")]) as told:
                pid = int((await told("0 running"))[2])
                with pytest.raises(LauncherUnavailableError, match="another agent runs the ranks of fleet test"):
                    self.make(tmp_path / "elsewhere", Seen())
            elsewhere = self.make(tmp_path / "elsewhere", Seen())
            with pytest.raises(LauncherUnavailableError, match=f"state directory {state_dir} run here"):
                await elsewhere.recover()
            await elsewhere.close()
            assert is_alive(pid)
            async with self.launched(state_dir) as (_, seen):
                assert (await seen.until(RankState.RUNNING)).pid == pid

        asyncio.run(run())

    def test_leftovers_of_an_older_round_are_ended_before_the_next(self, state_dir: Path) -> None:
        """As of a unit that systemd gave up on: it knows it no more, and its control group has a process."""

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                newer, older = replace(KEY, round=2), replace(KEY, rank=1)
                await launcher.start(order("/bin/sleep", "3600", key=replace(KEY, gang=1)))
                folder = group(NAMES.role(KEY), NAMES.rank(older)).folder
                folder.mkdir()
                with subprocess.Popen(["/bin/sleep", "60"]) as left:  # noqa: ASYNC220 - its end is not waited for
                    (folder / "cgroup.procs").write_text(str(left.pid))
                    await launcher.start(order("/bin/sleep", "3600", key=newer))
                    await seen.until(RankState.RUNNING, newer)
                    assert left.wait(LIMIT_S) == -signal.SIGKILL
                folder.rmdir()
                assert seen.states(replace(KEY, gang=1))[-1] is RankState.RUNNING

        asyncio.run(run())

    def test_shared_memory_that_a_rank_left_is_removed(self, state_dir: Path) -> None:
        """What libraries made and forgot; not a user's own data, nor what another process uses."""
        kept, used = Path("/dev/shm/data.bin"), Path("/dev/shm/psm_used")

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(LEAVES_MEMORY))
                await printed(launcher.files(KEY).output, "ready")
                with await asyncio.to_thread(used.open, "w"):
                    assert len(segments_of_shm()) == 1
                    os.kill((await seen.until(RankState.RUNNING)).pid, signal.SIGKILL)
                    await seen.until(RankState.GONE)
                assert set(os.listdir("/dev/shm")) == {kept.name, used.name}
                assert segments_of_shm() == []

        try:
            asyncio.run(run())
        finally:
            for path in (kept, used):
                path.unlink(missing_ok=True)

    def test_shared_memory_stays_while_another_rank_of_the_user_runs(self, state_dir: Path) -> None:
        other, left = replace(KEY, rank=1), Path("/dev/shm/psm_left")

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600"))
                await launcher.start(order("/usr/bin/touch", str(left), key=other))
                await seen.until(RankState.GONE, other)
                assert left.name in os.listdir("/dev/shm")
                await launcher.disturb(KEY, "kill")
                await seen.until(RankState.GONE)
                assert left.name not in os.listdir("/dev/shm")

        asyncio.run(run())

    def test_what_cannot_be_killed_is_named_and_not_gone(self, state_dir: Path, stuck: Callable[[int], None]) -> None:
        """A main process, and a child of another's, stand in uninterruptible sleep while they are to be ended."""
        other, later = replace(KEY, rank=1), replace(KEY, round=2)
        forks = "import os, time; print(os.fork(), 'ready'); time.sleep(3600)"

        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(SLEEP))
                await launcher.start(python(forks, key=other))
                main, parent = await seen.until(RankState.RUNNING), await seen.until(RankState.RUNNING, other)
                await printed(launcher.files(other).output, "0 ready")
                (child,) = set(group(NAMES.role(other), NAMES.rank(other)).processes()) - {parent.pid}
                stuck(main.pid)
                stuck(child)
                os.kill(parent.pid, signal.SIGKILL)
                await launcher.stop(KEY, 0.0, 0.0)
                await launcher.start(order("/bin/true", key=later))
                refused = await seen.end(later)
                assert refused.launch_error.endswith(" D; reboot the node")
                for key, pid in ((KEY, main.pid), (other, child)):
                    await printed(launcher.files(key).record, f'"unkillable": ["{pid} (')
                assert seen.states()[-1] is RankState.RUNNING
                assert seen.states(other)[-1] is RankState.EXITED
                stuck(0)
                for key in (KEY, other):
                    assert (await seen.end(key)).signal == signal.SIGKILL

        asyncio.run(run())

    def test_what_is_forgotten_is_let_go_of(self, state_dir: Path) -> None:
        async def run() -> None:
            failed = replace(KEY, rank=1)
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/true"))
                await launcher.start(order("/bin/false", key=failed))
                for key in (KEY, failed):
                    await seen.until(RankState.GONE, key)
                assert ours() == {UNIT, NAMES.rank(failed), NAMES.role(KEY), NAMES.job(1)}
                launcher.forget(KEY)
                launcher.forget(failed)
                await until_ours_are(set())
                seen.told.clear()

        asyncio.run(run())
