"""What people do by hand to the units of ranks is found by the next survey, mended, and told as an event."""

import json

import pytest

from dlroverd.model.ids import RankKey
from tests.fleet.conftest import Boot
from tests.fleet.harness import SCRIPTS, Fleet
from tests.system.fleet import gang, pids, until

FOR_EVER = "1000000000"
NODE = "node1"


@pytest.fixture(scope="module")
def hosts(boot: Boot) -> Fleet:
    """One node, whose agent looks around often."""
    return boot(1, agent={"survey_interval": "500ms"})


def unit(key: RankKey) -> str:
    return f"dlroverd-main-{key.unit}.service"


def found(fleet: Fleet, what: str) -> dict[str, str]:
    """Wait for the difference that is about a rank; none other may be about it."""

    def seen() -> list[dict[str, str]]:
        events = fleet.client.events(node=NODE, names=["difference_seen"])
        all_ = [json.loads(event.body)["difference"] for event in events]
        return [each for each in all_ if str(each["what"]).startswith(f"{what} ")]

    (one,) = until(seen, bool)
    return one


def begin(fleet: Fleet) -> int:
    job = fleet.submit("--nnodes", "1", "--nproc-per-node", "1", str(SCRIPTS / "ddp.py"), FOR_EVER)
    fleet.until_stepping(job)
    return job


def test_a_units_stop_or_restart_by_hand_ends_its_rank_and_the_job_goes_on(fleet: Fleet) -> None:
    job = begin(fleet)
    for round_, verb in ((1, "stop"), (2, "restart")):
        fleet.exec(NODE, "systemctl", verb, unit(RankKey(job, "trainer", 0, round_, 0)), code=None)
        fleet.until_stepping(job, round_=round_ + 1)
        assert len(fleet.ranks(job)) == 1
    assert {each.pid for each in fleet.ranks(job).values()} == set(pids(fleet.client.job(job)))


@pytest.mark.parametrize("slice_", ["system.slice", "dlroverd-main-j99-trainer.slice"])
def test_a_unit_with_a_ranks_name_is_listed_and_left_running(fleet: Fleet, slice_: str) -> None:
    key = RankKey(99, "trainer", 0, 1, len(slice_))
    fleet.exec(NODE, "systemd-run", "--unit", unit(key), "--slice", slice_, "sleep", "infinity")
    assert found(fleet, str(key)) | {"at": 0} == {
        "kind": "stray",
        "what": f"{key} runs and is not recorded",
        "mended": "",
        "at": 0,
    }
    fleet.until_nodes(lambda views: views[0].orphans == (str(key),))
    assert fleet.main_pid(NODE, unit(key))
    fleet.exec(NODE, "systemctl", "stop", unit(key))
    fleet.until_nodes(lambda views: views[0].orphans == ())


@pytest.mark.parametrize("slice_", ["system.slice", "dlroverd-main-j99-trainer.slice"])
def test_a_unit_of_a_round_that_is_over_is_ended(fleet: Fleet, slice_: str) -> None:
    job = begin(fleet)
    fleet.ctl("job", "restart", str(job))
    fleet.until_stepping(job, round_=2)
    key = RankKey(job, "trainer", 0, 1, 3)
    fleet.exec(NODE, "systemd-run", "--unit", unit(key), "--slice", slice_, "sleep", "infinity")
    assert found(fleet, str(key))["mended"] == "it is killed"
    until(lambda: fleet.main_pid(NODE, unit(key)), lambda pid: not pid)
    assert gang(fleet.client.job(job)).round == 2


def test_what_is_put_into_the_control_group_of_a_rank_that_is_gone_is_killed(fleet: Fleet) -> None:
    job = begin(fleet)
    fleet.ctl("job", "cancel", str(job))
    fleet.until_over(job)
    key = RankKey(job, "trainer", 0, 1, 0)
    path = (
        f"dlroverd.slice/dlroverd-main.slice/dlroverd-main-j{job}.slice/dlroverd-main-j{job}-trainer.slice/{unit(key)}"
    )
    enter = f"mkdir -p /sys/fs/cgroup/{path} && echo $$ > /sys/fs/cgroup/{path}/cgroup.procs && exec sleep infinity"
    process = fleet.spawn(NODE, "sh", "-ec", enter)
    assert found(fleet, str(key))["mended"] in ("they are killed", "it is killed")
    assert process.wait(60) != 0
