"""Notices of planned stops: which ranks are told, what is left for them to read, and how they read it."""

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from dlroverd_agent.core import (
    AgentCore,
    Connected,
    DesiredArrived,
    Followed,
    RankChanged,
    Recovered,
    Stop,
    Tell,
    TellSaves,
)
from dlroverd_agent.launchers.files import RankFiles
from dlroverd_agent.launchers.interface import Launcher
from dlroverd_agent.notices import Notices

from dlroverd.model.ids import GangKey, RankKey
from dlroverd.model.job import JobSpec, RankState, RoleSpec, User
from dlroverd.model.world import Assignment, Desired, JobDescriptor, Notice, RankObservation, Saves

WORLD = GangKey(1, "trainer", 0).at(1)
KEY = WORLD.rank(0)
SPEC = JobSpec(
    name="a",
    user=User(uid=1, gid=1, name="ann"),
    roles=(RoleSpec(argv=("/bin/true",), cwd="/", nproc_per_node=2),),
    notice_signal="USR1",
)
SUSPENDED = Notice(reason="suspended by ann", by=700.0)
SOONER = Notice(reason="makes room for job 9", by=600.0)


def desired(position: int, notice: Notice | None, saves: Saves | None = None) -> DesiredArrived:
    part = Assignment(
        round=WORLD,
        world_size=2,
        group_rank=0,
        group_world_size=1,
        first_rank=0,
        nproc=2,
        master_addr="127.0.0.1",
        master_port=20000,
        restart_count=0,
        notice=notice,
        saves=saves,
    )
    jobs = (JobDescriptor(job=1, spec=SPEC),)
    return DesiredArrived(Desired(log_id="A", position=position, jobs=jobs, assignments=(part,)))


def told(core: AgentCore, item: Any) -> list[Tell | TellSaves]:
    return [action for action in core.handle(item, 1.0) if isinstance(action, Tell | TellSaves)]


def running(rank: int) -> RankObservation:
    return RankObservation(key=WORLD.rank(rank), state=RankState.RUNNING, pid=40 + rank)


def begun() -> AgentCore:
    """A node that runs both ranks of the world."""
    core = AgentCore("n1", Followed())
    for item in (Recovered(()), Connected(1), desired(1, None), RankChanged(running(0)), RankChanged(running(1))):
        assert told(core, item) == []
    return core


def test_each_rank_that_runs_is_told_once_with_the_signal_and_again_when_it_changes() -> None:
    core = begun()
    assert told(core, desired(2, SUSPENDED)) == [Tell(WORLD.rank(rank), SUSPENDED, "USR1") for rank in (0, 1)]
    assert told(core, desired(3, SUSPENDED)) == []
    core.handle(RankChanged(replace(running(1), state=RankState.GONE)), 1.0)
    assert told(core, desired(4, SOONER)) == [Tell(WORLD.rank(0), SOONER, "USR1")]
    assert told(core, desired(5, None)) == [Tell(WORLD.rank(0), None, "")]


def test_an_agent_that_comes_again_leaves_the_notice_anew_and_signals_nobody_twice() -> None:
    core = begun()
    core.handle(desired(2, SUSPENDED), 1.0)
    again = AgentCore("n1", core.followed)
    assert told(again, Recovered((running(0), running(1)))) == [Tell(WORLD.rank(r), SUSPENDED, "") for r in (0, 1)]
    assert told(again, desired(2, SUSPENDED)) == []


def test_each_rank_that_runs_is_told_when_to_save_before_it_hears_of_the_stop() -> None:
    core, often, asked = begun(), Saves(every=100, since=30), Saves(at=40, every=100, since=30)
    assert told(core, desired(2, None, often)) == [TellSaves(WORLD.rank(rank), often) for rank in (0, 1)]
    assert told(core, desired(3, None, often)) == []
    core.handle(RankChanged(replace(running(1), state=RankState.GONE)), 1.0)
    rank = WORLD.rank(0)
    assert told(core, desired(4, SUSPENDED, asked)) == [TellSaves(rank, asked), Tell(rank, SUSPENDED, "USR1")]
    again = AgentCore("n1", core.followed)
    assert told(again, Recovered((running(0),))) == [TellSaves(rank, asked), Tell(rank, SUSPENDED, "")]
    assert told(core, desired(5, None)) == [TellSaves(rank, Saves()), Tell(rank, None, "")]


class OneRank:
    """What `Notices` needs of a launcher, for one rank whose files are in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signals: list[int] = []

    def files(self, key: RankKey) -> RankFiles:
        return RankFiles(self.folder / key.unit)

    async def send_signal(self, key: RankKey, number: int) -> None:
        assert self.files(key).notice.exists(), "it was signalled before it could read why"
        self.signals.append(number)


@pytest.fixture
def rank(tmp_path: Path) -> OneRank:
    one = OneRank(tmp_path)
    one.files(KEY).error.parent.mkdir(parents=True)
    return one


def notices(rank: OneRank) -> Notices:
    return Notices(cast("Launcher", rank))


def reads(rank: OneRank, script: str = "") -> str:
    """Give what a training in that rank's place is told."""
    script = script or "from dlroverd_train import notice; print(notice())"
    env = {**os.environ, "DLROVERD_NOTICE_FILE": str(rank.files(KEY).notice)}
    env |= {"DLROVERD_SAVES_FILE": str(rank.files(KEY).saves)}
    return subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True).stdout


def test_a_notice_is_left_signalled_and_taken_back(rank: OneRank) -> None:
    asyncio.run(notices(rank).tell(Tell(KEY, SUSPENDED, "USR1")))
    assert rank.signals == [10]
    assert reads(rank) == "Notice(reason='suspended by ann', by=700.0)\n"
    assert rank.files(KEY).notice.stat().st_mode & 0o777 == 0o600
    asyncio.run(notices(rank).tell(Tell(KEY, None, "")))
    assert (reads(rank), rank.signals) == ("None\n", [10])


def test_a_stop_leaves_its_reason_first_and_one_without_leaves_none(rank: OneRank) -> None:
    asyncio.run(notices(rank).before(Stop(KEY, 0.5, 1.0)))
    assert reads(rank) == "None\n"
    asyncio.run(notices(rank).before(Stop(KEY, 0.5, 1.0, "a rank failed")))
    assert json.loads(rank.files(KEY).notice.read_text())["reason"] == "a rank failed"


def test_a_rank_reads_when_to_save(rank: OneRank) -> None:
    asyncio.run(notices(rank).saves(KEY, Saves(at=3, every=5, since=8)))
    script = "from dlroverd_train import should_checkpoint; print([n for n in range(20) if should_checkpoint(n)])"
    assert reads(rank, script) == "[3, 13, 18]\n"
    assert rank.files(KEY).saves.stat().st_mode & 0o777 == 0o600
    asyncio.run(notices(rank).saves(KEY, Saves()))
    assert reads(rank, script) == "[]\n"
    rank.files(KEY).forget()
    assert not rank.files(KEY).saves.exists()


def test_a_rank_that_never_had_a_directory_is_not_told(tmp_path: Path) -> None:
    asyncio.run(notices(OneRank(tmp_path)).before(Stop(KEY, 0.5, 1.0, "a rank failed")))
    assert list(tmp_path.iterdir()) == []


def test_no_link_leads_the_agent_elsewhere(rank: OneRank, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("untouched")
    rank.files(KEY).notice.symlink_to(elsewhere)
    asyncio.run(notices(rank).before(Stop(KEY, 0.5, 1.0, "a rank failed")))
    assert (elsewhere.read_text(), rank.files(KEY).notice.is_symlink()) == ("untouched", False)
    rank.files(KEY).notice.with_name("notice.new").symlink_to(elsewhere)
    asyncio.run(notices(rank).before(Stop(KEY, 0.5, 1.0, "again")))
    assert elsewhere.read_text() == "untouched"


def test_one_process_sees_each_change(rank: OneRank) -> None:
    script = """
import json, os
from dlroverd_train import notice
path = os.environ["DLROVERD_NOTICE_FILE"]
def put(reason):
    with open(path + ".new", "w") as file:
        json.dump({"reason": reason, "by": 1}, file)
    os.rename(path + ".new", path)
seen = [notice()]
for reason in ("first", "other"):
    put(reason)
    seen += [notice(), notice()]
os.unlink(path)
print([each and each.reason for each in [*seen, notice()]])
"""
    assert reads(rank, script) == "[None, 'first', 'first', 'other', 'other', None]\n"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"reason": "x"}', "\0\0"])
def test_what_is_no_notice_is_none_and_nothing_is_raised(rank: OneRank, content: str) -> None:
    rank.files(KEY).notice.write_text(content)
    assert reads(rank) == "None\n"


def test_without_an_agent_there_is_no_notice() -> None:
    env = {name: value for name, value in os.environ.items() if name != "DLROVERD_NOTICE_FILE"}
    script = "from dlroverd_train import checkpointed, notice; checkpointed(3); checkpointed('x'); print(notice())"
    said = subprocess.run([sys.executable, "-c", script], env=env, check=True, capture_output=True, text=True)
    assert (said.stdout, said.stderr) == ("None\n", "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs ranks of other users")
def test_the_ranks_user_can_read_its_notice_and_nobody_else_can(rank: OneRank) -> None:
    os.chown(rank.files(KEY).error.parent, 65534, 65533)
    asyncio.run(notices(rank).before(Stop(KEY, 0.5, 1.0, "a rank failed")))
    status = rank.files(KEY).notice.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (65534, 65533, 0o600)
