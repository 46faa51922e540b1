"""What a warm spare may become: the rank whose order is its own, but for what each round has anew."""

from dataclasses import replace

import pytest
from dlroverd_agent.launchers.interface import LaunchOrder
from dlroverd_agent.spares.spares import _fits

from dlroverd.model.environment import lasting
from dlroverd.model.ids import RankKey
from dlroverd.model.job import Resources

ENV = {"RANK": "0", "WORLD_SIZE": "2", "LD_LIBRARY_PATH": "/lib", "MASTER_PORT": "20001", "DLROVERD_ROUND": "1"}
ORDER = LaunchOrder(key=RankKey(1, "trainer", 0, 2, 0), argv=("/py", "x.py"), cwd="/", env=ENV, uid=1, gid=1)
SPARE = replace(ORDER, env=lasting(ENV))


def test_what_each_round_has_anew_matters_not() -> None:
    new = ENV | {"MASTER_PORT": "20002", "MASTER_ADDR": "n2", "DLROVERD_ROUND": "2", "TORCHELASTIC_RESTART_COUNT": "1"}
    assert _fits(SPARE, replace(ORDER, env=new))


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, key=RankKey(1, "trainer", 0, 3, 0)),
        replace(ORDER, argv=("/py", "x.py", "--more")),
        replace(ORDER, cwd="/tmp"),
        replace(ORDER, uid=2),
        replace(ORDER, env=ENV | {"LD_LIBRARY_PATH": "/other"}),
        replace(ORDER, env=ENV | {"WORLD_SIZE": "4"}),
        replace(ORDER, env=ENV | {"OMP_NUM_THREADS": "1"}),
        replace(ORDER, resources=Resources(cpus="0-3")),
        replace(ORDER, device_nodes=("/dev/nvidia1",)),
    ],
)
def test_anything_else_does(order: LaunchOrder) -> None:
    assert not _fits(SPARE, order)
