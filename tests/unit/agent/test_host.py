"""What the agent keeps on disk, and what it finds out about its host."""

import os
import socket
import stat
import time
from pathlib import Path

import pytest
from dlroverd_agent import retention
from dlroverd_agent.core import Followed
from dlroverd_agent.facts import node_facts
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.state import FollowedFile, StateError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlroverd.config.agent import AgentConfig
from dlroverd.model.ids import GangKey
from dlroverd.model.node import Device
from dlroverd.protocol import notify


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=30
)
@given(st.from_type(Followed))
def test_what_is_followed_comes_back_as_it_was(tmp_path: Path, followed: Followed) -> None:
    FollowedFile(tmp_path).save(followed)
    assert repr(FollowedFile(tmp_path).load()) == repr(followed)  # in which NaN is itself, too


def test_what_is_followed_is_private_and_absent_at_first(tmp_path: Path) -> None:
    assert FollowedFile(tmp_path).load() == Followed()
    FollowedFile(tmp_path).save(Followed(log_id="a", position=3))
    assert [path.name for path in tmp_path.iterdir()] == ["followed.json"]
    assert stat.S_IMODE((tmp_path / "followed.json").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"version": 1', "is damaged"),
        ("[]", "is damaged"),
        ('{"version": 1, "followed": {"held": 3}}', "is damaged"),
        ('{"version": 2, "followed": {}}', "newer dlroverd-agent"),
    ],
)
def test_a_state_that_cannot_be_used_is_named_and_left_alone(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "followed.json"
    path.write_text(text)
    with pytest.raises(StateError, match=sentence):
        FollowedFile(tmp_path).load()
    assert path.read_text() == text


def forgotten(ranks: Path, round_: int, age_s: float) -> RankFiles:
    files = RankFiles(ranks / GangKey(1, "trainer", 0).at(round_).rank(0).unit)
    files.directory.mkdir(parents=True)
    files.output.write_text("words")
    files.forgotten.touch()
    then = time.time() - age_s
    os.utime(files.forgotten, (then, then))
    return files


def test_output_goes_when_it_is_old_and_of_no_interest(tmp_path: Path) -> None:
    old, young, known = (forgotten(tmp_path, *each) for each in ((1, 100.0), (2, 10.0), (3, 100.0)))
    known.forgotten.unlink()
    (tmp_path / "lock").touch()
    retention.sweep(tmp_path, time.time() - 50)
    assert [files.directory.exists() for files in (old, young, known)] == [False, True, True]


def test_what_is_set_aside_frees_its_name_and_is_still_swept(tmp_path: Path) -> None:
    files = forgotten(tmp_path, 1, 100.0)
    retention.set_aside(tmp_path)
    forgotten(tmp_path, 1, 100.0)
    retention.set_aside(tmp_path)
    assert not files.directory.exists()
    assert len(list(tmp_path.iterdir())) == 2
    retention.sweep(tmp_path, time.time())
    assert list(tmp_path.iterdir()) == []


def test_slots_are_what_is_configured_else_devices_else_cpus() -> None:
    gpu = Device(uuid="GPU-1", model="H200", memory_bytes=1)
    cpus = len(os.sched_getaffinity(0))
    assert node_facts(AgentConfig(), ()).slots == cpus
    assert node_facts(AgentConfig(), (gpu, gpu, gpu)).slots == 3
    assert node_facts(AgentConfig(slots=7), (gpu,)).slots == 7


def test_systemd_is_told_and_nothing_happens_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready("nobody listens")
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(os.fspath(path))
        monkeypatch.setenv("NOTIFY_SOCKET", os.fspath(path))
        notify.ready("4 ranks")
        notify.alive()
        notify.stopping()
        notify.status("on")
        told = [systemd.recv(100) for _ in range(4)]
    assert told == [b"READY=1\nSTATUS=4 ranks", b"WATCHDOG=1", b"STOPPING=1", b"STATUS=on"]
    notify.alive()  # a socket that nobody holds any more


def test_the_watchdog_is_ours_only_if_it_names_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notify.watchdog_s() == 30.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert notify.watchdog_s() is None
