"""The process launcher: what every launcher must do, and its shims killed in every order."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from dlroverd_agent.launchers.files import Record
from dlroverd_agent.launchers.spawn import connect

from dlroverd.model.job import RankState
from tests.system.launcher_contract import LauncherContract
from tests.system.launching import (
    FOR_EVER_S,
    IGNORES_TERM,
    KEY,
    TREES,
    carriers,
    ended,
    forking,
    order,
    parent_of,
    printed,
    python,
)
from tests.system.lease_contract import LeaseContract


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class TestProcessLauncher(LauncherContract, LeaseContract):
    make_source = "from dlroverd_agent.launchers.process import ProcessLauncher as make"

    @pytest.mark.parametrize("tree", TREES)
    def test_nothing_of_a_tree_outlives_the_shim(self, state_dir: Path, tree: str) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(python(forking(tree) + "time.sleep(3600)"))
                running = await seen.until(RankState.RUNNING)
                await printed(launcher.files(KEY).output, "ready")
                os.kill(parent_of(running.pid), signal.SIGKILL)
                end = await seen.end()
                assert carriers(launcher.files(KEY).directory) == []
                assert end.lost == "its shim was killed, and the rank with it"
                assert (end.code, end.signal) == (None, None)

        asyncio.run(run())

    def test_signals_do_not_end_a_shim(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600"))
                running = await seen.until(RankState.RUNNING)
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                    os.kill(parent_of(running.pid), number)
                await launcher.stop(KEY, 0.0, FOR_EVER_S)
                end = await seen.end()
                assert (end.signal, end.lost) == (signal.SIGTERM, "")

        asyncio.run(run())

    def test_a_stop_goes_on_without_the_agent(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [python(IGNORES_TERM)], 0.3, 0.3) as told:
                shim_pid = parent_of(int((await told("0 running"))[2]))
            await ended(shim_pid)
            async with self.launched(state_dir) as (_, seen):
                (found,) = seen.found
                assert found.state is RankState.GONE
                assert found.exit is not None
                assert found.exit.requested

        asyncio.run(run())

    def test_a_shim_killed_while_the_agent_was_away(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [python(forking("daemon") + "time.sleep(3600)")]) as told:
                pid = int((await told("0 running"))[2])
            await printed(state_dir / "ranks" / KEY.unit / "output.log", "ready")
            shim_pid = parent_of(pid)
            os.kill(shim_pid, signal.SIGKILL)
            await ended(shim_pid)
            async with self.launched(state_dir) as (launcher, seen):
                (found,) = seen.found
                assert found.state is RankState.GONE
                assert found.exit is not None
                assert "shim was killed" in found.exit.lost
                assert carriers(launcher.files(KEY).directory) == []
                assert seen.states()[-1] is RankState.GONE

        asyncio.run(run())

    def test_the_environment_is_not_kept(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600", env={"TOKEN": "s3cret"}))
                running = await seen.until(RankState.RUNNING)
                files = launcher.files(KEY)
                assert files.directory.stat().st_mode & 0o777 == 0o700
                contents = [path.read_bytes() for path in files.directory.iterdir() if path.is_file()]
                assert contents
                assert not any(b"s3cret" in content for content in contents)
                assert b"s3cret" not in command_of(parent_of(running.pid))

        asyncio.run(run())

    def test_a_record_that_cannot_be_written_is_kept_by_the_shim(self, state_dir: Path) -> None:
        async def run() -> None:
            async with self.other_agent(state_dir, [order("/bin/sleep", "3600")]) as told:
                pid = int((await told("0 running"))[2])
                shim_pid = parent_of(pid)
                obstacle = state_dir / "ranks" / KEY.unit / "record.json.new"
                obstacle.mkdir()
                os.kill(pid, signal.SIGKILL)
                await told("0 gone")
            async with self.launched(state_dir) as (launcher, seen):
                end = await seen.end()
                assert (end.signal, seen.told[-1].pid) == (signal.SIGKILL, pid)
                assert Record.parse(launcher.files(KEY).record.read_bytes()).state is RankState.RUNNING
                obstacle.rmdir()
                await ended(shim_pid)
                assert Record.parse(launcher.files(KEY).record.read_bytes()).signal == signal.SIGKILL

        asyncio.run(run())

    @pytest.mark.parametrize(
        "words", [b"\xff\n", b"{}\n", b"[1]\n", b'{"stop": {"evidence_s": "x", "grace_s": 0}}\n', b"7" * 9999]
    )
    def test_nonsense_on_the_control_socket_is_hung_up_on(self, state_dir: Path, words: bytes) -> None:
        async def run() -> None:
            async with self.launched(state_dir) as (launcher, seen):
                await launcher.start(order("/bin/sleep", "3600"))
                await seen.until(RankState.RUNNING)
                with connect(launcher.files(KEY)) as control:
                    control.sendall(words)
                    control.shutdown(socket.SHUT_WR)
                    received = await asyncio.to_thread(lambda: list(iter(lambda: control.recv(4096), b"")))
                assert Record.parse(b"".join(received)).state is RankState.RUNNING
                assert seen.states()[-1] is RankState.RUNNING

        asyncio.run(run())
