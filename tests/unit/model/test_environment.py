"""The environment of a rank, held against what torchrun itself gives."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dlroverd.model.environment import lasting, rank_environment
from dlroverd.model.ids import RoundKey
from dlroverd.model.job import JobSpec, ProgressFrom, RoleSpec, User
from dlroverd.model.world import Assignment, JobDescriptor

ERROR_FILE = Path("/state/errors/error.json")
# torchrun's message to itself about its own signals, which leaks into ranks.
TORCHRUNS_OWN = {"TORCHELASTIC_SIGNALS_TO_HANDLE"}
# Where the world meets and what the run is called is torchrun's to choose, and dlroverd's to choose otherwise;
# the store is served by rank 0 instead of the launcher.
CHOSEN = {
    "MASTER_ADDR",
    "MASTER_PORT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_ERROR_FILE",
    "TORCHELASTIC_USE_AGENT_STORE",
}
DUMP = """
import json, os
with open(os.path.join(os.environ["DUMPS"], os.environ["RANK"]), "w") as file:
    json.dump(dict(os.environ), file)
"""


def job(env: dict[str, str] | None = None, run_id: str = "mine") -> JobDescriptor:
    role = RoleSpec(name="trainer", argv=("/usr/bin/python3", "x.py"), cwd="/", env=env or {}, nproc_per_node=2)
    user = User(uid=1000, gid=1000, name="ann")
    spec = JobSpec(name="digits", user=user, roles=(role,), run_id=run_id, max_restarts=5)
    return JobDescriptor(job=7, spec=spec)


def assignment(nproc: int = 2) -> Assignment:
    return Assignment(
        round=RoundKey(7, "trainer", 0, 3),
        world_size=4,
        group_rank=1,
        group_world_size=2,
        first_rank=2,
        nproc=nproc,
        master_addr="10.0.0.1",
        master_port=20007,
        restart_count=2,
    )


def environment(
    the_job: JobDescriptor, the_assignment: Assignment, local_rank: int = 0, interface: str = "", counter: str = ""
) -> dict[str, str]:
    return rank_environment(
        the_job,
        the_assignment,
        local_rank,
        node="n1",
        error_file=str(ERROR_FILE),
        progress_file=str(ERROR_FILE.with_name("progress")),
        notice_file=str(ERROR_FILE.with_name("notice")),
        saves_file=str(ERROR_FILE.with_name("saves")),
        events_file="/run/events",
        interface=interface,
        counter=counter,
    )


def test_every_name_that_torchrun_sets_is_set_with_its_meaning(tmp_path: Path) -> None:
    script = tmp_path / "dump.py"
    script.write_text(DUMP)
    before = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "DUMPS": str(tmp_path)}
    options = ["--standalone", "--nproc-per-node", "2", "--role", "trainer", "--max-restarts", "5"]
    command = [sys.executable, "-m", "torch.distributed.run", *options, str(script)]
    subprocess.run(command, env=before, check=True, timeout=120)
    alone = replace(assignment(), group_rank=0, group_world_size=1, first_rank=0, world_size=2, restart_count=0)
    for rank in range(2):
        torchs = json.loads((tmp_path / str(rank)).read_text())
        ours = environment(job(before), alone, rank)
        set_by_torchrun = set(torchs) - set(before) - TORCHRUNS_OWN
        assert set_by_torchrun >= CHOSEN
        assert set_by_torchrun - set(ours) == set()
        for name in set_by_torchrun - CHOSEN:
            assert ours[name] == torchs[name], name


def test_ranks_and_sizes_of_a_node_in_the_middle() -> None:
    env = environment(job(), assignment(), 1)
    expected = {
        "RANK": "3",
        "LOCAL_RANK": "1",
        "WORLD_SIZE": "4",
        "LOCAL_WORLD_SIZE": "2",
        "GROUP_RANK": "1",
        "GROUP_WORLD_SIZE": "2",
        "ROLE_RANK": "3",
        "ROLE_WORLD_SIZE": "4",
        "MASTER_ADDR": "10.0.0.1",
        "MASTER_PORT": "20007",
        "TORCHELASTIC_RESTART_COUNT": "2",
        "TORCHELASTIC_ERROR_FILE": str(ERROR_FILE),
        "TORCHELASTIC_USE_AGENT_STORE": "False",
        "DLROVERD_JOB": "7",
        "DLROVERD_ROLE": "trainer",
        "DLROVERD_GANG": "0",
        "DLROVERD_ROUND": "3",
        "DLROVERD_NODE": "n1",
        "DLROVERD_UNIT": "j7-trainer-0-r3-rank3",
    }
    assert env.items() >= expected.items()


def test_the_contract_wins_over_the_job_and_the_job_over_defaults() -> None:
    own = {"RANK": "9", "MASTER_PORT": "1", "OMP_NUM_THREADS": "4", "PYTHONUNBUFFERED": "", "DATA": "/data"}
    env = environment(job(own | {"TORCH_NCCL_ASYNC_ERROR_HANDLING": "3"}), assignment())
    assert (env["RANK"], env["MASTER_PORT"]) == ("2", "20007")
    assert (env["OMP_NUM_THREADS"], env["PYTHONUNBUFFERED"], env["DATA"]) == ("4", "", "/data")
    assert env["TORCH_NCCL_ASYNC_ERROR_HANDLING"] == "3"


def test_threads_are_limited_only_where_ranks_share_a_host() -> None:
    assert environment(job(), assignment(2))["OMP_NUM_THREADS"] == "1"
    assert "OMP_NUM_THREADS" not in environment(job(), assignment(1))


def test_the_interface_towards_the_others_is_named_where_the_job_does_not() -> None:
    named = environment(job(), assignment(), interface="eth1")
    assert (named["GLOO_SOCKET_IFNAME"], named["NCCL_SOCKET_IFNAME"]) == ("eth1", "=eth1")
    own = environment(job({"NCCL_SOCKET_IFNAME": "ib0"}), assignment(), interface="eth1")
    assert (own["GLOO_SOCKET_IFNAME"], own["NCCL_SOCKET_IFNAME"]) == ("eth1", "ib0")
    assert not {"GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"} & environment(job(), assignment()).keys()


def test_what_looks_on_comes_first_in_the_path_of_the_jobs_that_ask_for_it() -> None:
    def looks_on(env: dict[str, str], progress: ProgressFrom, *, warm: bool, lease_s: float = 0.0) -> list[str | None]:
        described = job(env)
        roles = tuple(replace(role, warm_spares=warm, lease_s=lease_s) for role in described.spec.roles)
        spec = replace(described.spec, progress=progress, roles=roles)
        given = environment(replace(described, spec=spec), assignment(), counter="/agent/counter")
        return [given.get("PYTHONPATH"), given.get("DLROVERD_RANK_PATH")]

    auto, pattern = ProgressFrom.AUTO, ProgressFrom.PATTERN
    assert looks_on({}, auto, warm=False) == ["/agent/counter", "steps"]
    assert looks_on({"PYTHONPATH": "/a:/b:"}, auto, warm=True) == ["/agent/counter:/a:/b:", "steps imports"]
    assert looks_on({"PYTHONPATH": "/a"}, pattern, warm=True) == ["/agent/counter:/a", "imports"]
    assert looks_on({"PYTHONPATH": "/a"}, pattern, warm=False) == ["/a", None]
    assert looks_on({}, pattern, warm=True, lease_s=30.0) == [None, None]


def test_what_lasts_is_what_each_round_has_not_of_its_own() -> None:
    first, next_ = environment(job({"A": "b"}), assignment()), environment(job({"A": "b"}), later_round(assignment()))
    assert first != next_
    assert lasting(first) == lasting(next_)
    assert {"A", "RANK", "WORLD_SIZE", "OMP_NUM_THREADS"} <= lasting(first).keys()


def later_round(before: Assignment) -> Assignment:
    """The same world again: all that a restart in place changes."""
    return replace(
        before,
        round=replace(before.round, round=before.round.round + 1),
        master_addr="10.0.0.9",
        master_port=before.master_port + 1,
        restart_count=before.restart_count + 1,
    )


def test_every_local_rank_sees_all_granted_devices_in_one_order() -> None:
    granted = replace(assignment(), devices=("GPU-b", "GPU-a"))
    assert {environment(job(), granted, rank)["CUDA_VISIBLE_DEVICES"] for rank in (0, 1)} == {"GPU-b,GPU-a"}
    assert "CUDA_VISIBLE_DEVICES" not in environment(job(), assignment())


def test_the_run_id_is_the_same_in_every_round() -> None:
    later = replace(assignment(), round=RoundKey(7, "trainer", 0, 4))
    ids = {environment(job(), each)["TORCHELASTIC_RUN_ID"] for each in (assignment(), later)}
    assert ids == {"mine"}


def test_a_local_rank_that_the_node_does_not_run_is_refused() -> None:
    with pytest.raises(ValueError, match="local rank 2 is not below 2"):
        environment(job(), assignment(), 2)


def test_a_rank_finds_the_memory_of_its_checkpoints_only_where_there_is_one() -> None:
    assert "DLROVERD_CHECKPOINT_SOCKET" not in environment(job({"PATH": "/bin"}), assignment())
    files = dict.fromkeys(("error_file", "progress_file", "notice_file", "events_file", "saves_file"), "/f")
    env = rank_environment(job(), assignment(), 0, node="n1", checkpoint_socket="/run/7/socket", **files)
    assert env["DLROVERD_CHECKPOINT_SOCKET"] == "/run/7/socket"
